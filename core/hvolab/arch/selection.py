# SPDX-License-Identifier: GPL-2.0-only
"""A selection from an architecture: mode, profile, release and features, resolved to raw entries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from hvolab.arch.cpu_mode import CpuMode
from hvolab.arch.entry import Entry, EntryForm, EntryKind
from hvolab.arch.geometry import PagingMode
from hvolab.arch.mmu import MmuRules
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.traits import Traits
from hvolab.errors import EncodingError
from hvolab.overrides import overridden
from hvolab.release import KernelRelease

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_PATTERNS = "correct the fields of the pgprot, EntryForm.recognize or EntryFormat.valid: they name the same bits"


@dataclass(frozen=True)
class Selection:
    """A paging mode as one kernel uses it on one machine.

    mode                        the mode with features and moved bases applied
    profile, features           the names that were selected
    release                     the kernel release
    pgprots                     the resolved protection of each role
    optional                    fields that features set, and that not every form has
    traits, mmu                 behavior, with the changes of release and features
    cpu_mode                    state of the CPU's control registers; ``None``: the kernel's
    """

    mode: PagingMode
    profile: str
    release: KernelRelease
    features: tuple[str, ...]
    pgprots: tuple[tuple[PgprotRole, Pgprot], ...]
    optional: frozenset[str]
    traits: Traits
    mmu: MmuRules
    cpu_mode: CpuMode | None = None

    @cached_property
    def _bits(self) -> dict[tuple[str, PgprotRole], int]:
        return {}

    @cached_property
    def page_form(self) -> EntryForm:
        """The plain form of a leaf at the last level."""
        return self.mode.format.form(self.mode.last.name, EntryKind.LEAF)

    def bits(self, level: str, role: PgprotRole) -> int:
        """Return the bits of a plain entry at ``level``, address aside, that has the protection of ``role``."""
        key = (level, role)
        known = self._bits.get(key)
        if known is None:
            kind = EntryKind.TABLE if role is PgprotRole.TABLE else EntryKind.LEAF
            known = self._bits[key] = self.bits_of(self.mode.format.form(level, kind), role)
        return known

    def bits_of(self, form: EntryForm, role: PgprotRole) -> int:
        """Return the bits of an entry of ``form``, address aside, that has the protection of ``role``.

        A field that a feature sets and that the form does not have is left out. Raises EncodingError for others.
        """
        fields = dict(self.pgprots)[role].fields
        kept = tuple(pair for pair in fields if pair[0] in form.by_name or pair[0] not in self.optional)
        try:
            return form.put_fields(kept)
        except EncodingError as error:
            what = f"{self._named(role)}: {error.what}"
            raise EncodingError(what, where=error.where, rule=error.rule, hint=error.hint) from error

    def leaf(self, level: str, pfn: int, role: PgprotRole) -> int:
        """Return a leaf at ``level`` that maps ``pfn`` with the protection of ``role``; raises EncodingError."""
        return self._entry(EntryKind.LEAF, level, pfn, role)

    def leaves(self, level: str, pfns: npt.NDArray[np.int64], role: PgprotRole) -> npt.NDArray[np.uint64]:
        """Return the leaves for an array of PFNs, all with the protection of ``role``; raises EncodingError."""
        form = self.mode.format.form(level, EntryKind.LEAF)
        pas: Any = pfns.astype("uint64") << self.mode.page_shift  # numpy's stubs take a shifted array for a signed one
        raws: Any = form.put_address(pas) | self.bits(level, role)
        wrong = form.get_address(raws) != pas
        self.leaf(level, int(pfns[int(wrong.argmax())]), role)  # raises for the first that does not fit
        made: npt.NDArray[np.uint64] = raws
        return made

    def table(self, level: str, pfn: int) -> int:
        """Return an entry at ``level`` that points to the table in frame ``pfn``; raises EncodingError."""
        return self._entry(EntryKind.TABLE, level, pfn, PgprotRole.TABLE)

    def _entry(self, kind: EntryKind, level: str, pfn: int, role: PgprotRole) -> int:
        form = self.mode.format.form(level, kind)
        raw = form.put_address(pfn << self.mode.page_shift) | self.bits(level, role)
        found = self.mode.format.classify(level, raw)
        if found is not kind:
            near = self.mode.format.nearest(level, raw, kind)
            words = {EntryKind.NONE: "an entry that is not valid", EntryKind.ILLEGAL: "of no form"}.get(
                found, f"a {found.value}"
            )
            what = f"{self._named(role)} makes {raw:#018x} at {level}, {words}, not a {kind.value}; {near}"
            patterns = (f"entry & {one.mask:#x} == {one.value:#x}" for one in self.mode.format.valid_patterns(level))
            where = f"valid at {level}: {' or '.join(patterns)}"
            raise EncodingError(what, where=where, rule=form.source, hint=_PATTERNS)
        try:
            decoded = self.decode(level, raw)
        except EncodingError as error:
            what = f"{self._named(role)} makes an illegal {kind.value} at {level}: {error.what}"
            raise EncodingError(what, where=error.where, rule=error.rule, hint=_PATTERNS) from error
        if decoded.pfn != pfn:
            raise form.misfit(pfn, level)
        return raw

    def _named(self, role: PgprotRole) -> str:
        """Return the name of a protection, with its role if that has another one."""
        name = dict(self.pgprots)[role].name
        return name if name == role.value else f"{name} ({role.value})"

    @cached_property
    def _page_field(self) -> tuple[int, int] | None:
        """Mask and lowest bit of the PFN in a leaf at the last level, if it is one run of bits there."""
        part, *others = self.page_form.address
        return None if others or part.physical != self.mode.page_shift else (part.mask, part.low)

    def page_entries(self, pfns: npt.NDArray[np.int64], role: PgprotRole) -> npt.NDArray[np.uint64]:
        """Return leaves at the last level for an array of PFNs, all with the protection of ``role``."""
        numbers: Any = pfns.astype("uint64")
        if self._page_field is None:
            placed = self.page_form.put_address(numbers << self.mode.page_shift)
        else:
            mask, low = self._page_field
            placed = (numbers << low) & mask
        entries: npt.NDArray[np.uint64] = placed | self.bits(self.mode.last.name, role)
        return entries

    def page_frames(self, raws: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the output PFNs of an array of leaves at the last level."""
        if self._page_field is None:
            frames: Any = self.page_form.get_address(raws) >> self.mode.page_shift
        else:
            mask, low = self._page_field
            frames = (raws & mask) >> low
        found: npt.NDArray[np.int64] = frames.view("int64")
        return found

    def table_frame(self, level: str, raw: int) -> int | None:
        """Return the first PFN of the table that ``raw`` at ``level`` points to; None if it points to none."""
        if self.mode.format.classify(level, raw) is not EntryKind.TABLE:
            return None
        return self.mode.format.form(level, EntryKind.TABLE).get_address(raw) >> self.mode.page_shift

    def decode(self, level: str, raw: int) -> Entry:
        """Decode ``raw`` at ``level``; raises EncodingError with the broken rule."""
        return self.mode.format.decode(level, raw, self.mode.page_shift)

    def describe(self, level: str, raw: int) -> str:
        """Return ``raw`` in hex and decoded, or with the rule that it breaks; for messages."""
        try:
            return f"{raw:#018x} ({self.decode(level, raw)})"
        except EncodingError as error:
            return f"{raw:#018x} ({error.what})"

    @cached_property
    def tails_fault(self) -> bool:
        """True if a store to a tail of an optimized folio faults, because PAGE_KERNEL_RO denies it."""
        write = self.mmu.write.leaf
        return write is not None and not write.accepts(self.bits(self.mode.last.name, PgprotRole.KERNEL_RO))

    def allowed(self, leaf: int, tables: tuple[int, ...]) -> int:
        """Return the accesses that ``leaf`` below ``tables`` allows, as bits of :class:`Access`."""
        return self.mmu.allowed(leaf, tables)

    def in_cpu_mode(self, cpu_mode: CpuMode) -> Self:
        """Return this selection with the CPU's control registers in another state."""
        forms = tuple(form.extended((), cpu_mode.rules) for form in self.mode.format.forms)
        mode = replace(self.mode, format=replace(self.mode.format, forms=forms))
        pgprots = tuple((role, pgprot.changed(cpu_mode.clears)) for role, pgprot in self.pgprots)
        return replace(self, mode=mode, pgprots=pgprots, mmu=overridden(self.mmu, cpu_mode.mmu), cpu_mode=cpu_mode)
