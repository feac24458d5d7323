"""A target: one architecture with mode, profile, release and features chosen, resolved to raw entries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hvolab.arch.entry import Entry, EntryForm, EntryKind
from hvolab.arch.geometry import PagingMode
from hvolab.arch.mmu import MmuRules
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.traits import Traits
from hvolab.errors import EncodingError

if TYPE_CHECKING:
    from hvolab.arch.architecture import Architecture
    from hvolab.arch.emulation import CpuMode


@dataclass(frozen=True)
class Target:
    """What a machine is built for; made by :meth:`Architecture.select`.

    architecture, mode             the description, the mode with features and moved bases applied
    profile, release, features  what was chosen
    pgprots                        the resolved protection of each role
    traits, mmu                    behavior, with what the features change
    cpu_mode                       state of the CPU's control registers; ``None``: the kernel's
    """

    architecture: Architecture
    mode: PagingMode
    profile: str
    release: str
    features: tuple[str, ...]
    pgprots: tuple[tuple[PgprotRole, Pgprot], ...]
    traits: Traits
    mmu: MmuRules
    cpu_mode: CpuMode | None = None

    @cached_property
    def _prots(self) -> dict[PgprotRole, Pgprot]:
        return dict(self.pgprots)

    @cached_property
    def _bits(self) -> dict[tuple[str, PgprotRole], int]:
        return {}

    @cached_property
    def page_form(self) -> EntryForm:
        """The form of a leaf at the last level."""
        return self.mode.format.form(self.mode.last.name, EntryKind.LEAF)

    def bits(self, level: str, role: PgprotRole) -> int:
        """The bits of an entry at ``level``, address aside, that has the protection of ``role``.

        A field that a feature sets and that the form does not have is left out.
        """
        key = (level, role)
        known = self._bits.get(key)
        if known is None:
            kind = EntryKind.TABLE if role is PgprotRole.TABLE else EntryKind.LEAF
            form = self.mode.format.form(level, kind)
            optional = {name for name in self.features for name, _ in self.architecture.feature(name).sets}
            chosen = tuple(
                pair for pair in self._prots[role].fields if pair[0] in form.by_name or pair[0] not in optional
            )
            known = self._bits[key] = form.put_fields(chosen)
        return known

    def leaf(self, level: str, pfn: int, role: PgprotRole) -> int:
        """A leaf at ``level`` that maps ``pfn`` with the protection of ``role``; raises EncodingError."""
        form = self.mode.format.form(level, EntryKind.LEAF)
        return self._entry(form, level, pfn, role)

    def leaves(self, level: str, pfns: npt.NDArray[np.int64], role: PgprotRole) -> npt.NDArray[np.uint64]:
        """The leaves for a run of PFNs, all with the protection of ``role``; raises EncodingError."""
        form = self.mode.format.form(level, EntryKind.LEAF)
        pas = pfns.astype(np.uint64) << np.uint64(self.mode.page_shift)
        raws: npt.NDArray[np.uint64] = form.put_address(pas) | np.uint64(self.bits(level, role))
        wrong = form.get_address(raws) != pas
        self.leaf(level, int(pfns[int(wrong.argmax())]), role)  # raises for the first that cannot stand there
        return raws

    def table(self, level: str, pfn: int) -> int:
        """An entry at ``level`` that points to the table in frame ``pfn``; raises EncodingError."""
        form = self.mode.format.form(level, EntryKind.TABLE)
        return self._entry(form, level, pfn, PgprotRole.TABLE)

    def _entry(self, form: EntryForm, level: str, pfn: int, role: PgprotRole) -> int:
        raw = form.put_address(pfn << self.mode.page_shift) | self.bits(level, role)
        decoded = self.mode.format.decode(level, raw, self.mode.page_shift)
        if decoded.pfn != pfn or decoded.kind is not form.kind:
            raise EncodingError(
                f"PFN {pfn:#x} cannot stand in a {form.kind.value} entry at {level}",
                where=f"PA bits that can: {form.physical_mask:#x}",
                rule=form.source,
            )
        return raw

    @cached_property
    def _page_field(self) -> tuple[np.uint64, np.uint64] | None:
        """Mask and lowest bit of the PFN in a leaf at the last level, where it stands there in one piece."""
        part, *others = self.page_form.address
        if others or part.physical != self.mode.page_shift:
            return None
        return np.uint64(part.mask), np.uint64(part.low)

    def page_entries(self, pfns: npt.NDArray[np.int64], role: PgprotRole) -> npt.NDArray[np.uint64]:
        """Leaves at the last level for a run of PFNs, all with the protection of ``role``."""
        bits = np.uint64(self.bits(self.mode.last.name, role))
        if self._page_field is not None:
            mask, low = self._page_field
            return (pfns.astype(np.uint64) << low) & mask | bits
        pas = pfns.astype(np.uint64) << np.uint64(self.mode.page_shift)
        return self.page_form.put_address(pas) | bits

    def page_frames(self, raws: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Output PFNs of a run of leaves at the last level."""
        if self._page_field is None:
            return (self.page_form.get_address(raws) >> np.uint64(self.mode.page_shift)).astype(np.int64)
        mask, low = self._page_field
        return ((raws & mask) >> low).view(np.int64)

    def decode(self, level: str, raw: int) -> Entry:
        """Decode ``raw`` at ``level``; raises EncodingError with the broken rule."""
        return self.mode.format.decode(level, raw, self.mode.page_shift)

    def describe(self, level: str, raw: int) -> str:
        """``raw`` in hex and decoded, or with the rule that it breaks; for messages."""
        try:
            return f"{raw:#018x} ({self.decode(level, raw)})"
        except EncodingError as error:
            return f"{raw:#018x} ({error.what})"

    @cached_property
    def tails_fault(self) -> bool:
        """Whether a store to a tail of an optimized folio faults: PAGE_KERNEL_RO denies it."""
        write = self.mmu.write.leaf
        return write is not None and not write.accepts(self.bits(self.mode.last.name, PgprotRole.KERNEL_RO))

    def allowed(self, leaf: int, tables: tuple[int, ...]) -> int:
        """The accesses that ``leaf`` below ``tables`` allows, as bits of :class:`Access`."""
        return self.mmu.allowed(leaf, tables)

    def __str__(self) -> str:
        features = f" +{','.join(self.features)}" if self.features else ""
        return f"{self.architecture.name} {self.mode.name} {self.profile} {self.release}{features}"
