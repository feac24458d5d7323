# SPDX-License-Identifier: GPL-2.0-only
"""Paging modes: entry formats, levels, virtual and physical widths, bases of the direct map and the vmemmap."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hvolab.arch.entry import (
    Entry,
    EntryForm,
    EntryKind,
    FieldValues,
    Match,
    Raw,
    SoftwareEntry,
    set_bits,
    union,
)
from hvolab.arithmetic import div_round_up
from hvolab.errors import DescriptionError, EncodingError
from hvolab.overrides import check_name, named
from hvolab.units import format_size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class EntryFormat:
    """All forms of a paging mode's entries.

    valid       the pattern of an entry that the walker does not take for absent
    forms       tables and leaves, in the order in which they are recognized. Of several of one kind at a level the
                last is the plain one; those before it match more bits.
    entry_bits  width of an entry
    valid_at    (level, patterns) of the levels where validity has other patterns: an entry there is valid if any
                of them matches
    empty_at    (level, entry) of the levels where an entry of a new table is not 0, because 0 would be valid
    software    kinds of entries that are not valid and have a meaning to the kernel, in the order in which they are
                recognized
    """

    valid: Match
    forms: tuple[EntryForm, ...]
    entry_bits: int = 64
    valid_at: tuple[tuple[str, tuple[Match, ...]], ...] = ()
    empty_at: tuple[tuple[str, int], ...] = ()
    software: tuple[SoftwareEntry, ...] = ()

    def valid_patterns(self, level: str) -> tuple[Match, ...]:
        """Return the patterns of a valid entry at ``level``; one of them must match."""
        return dict(self.valid_at).get(level, (self.valid,)) if self.valid_at else (self.valid,)

    def is_valid(self, level: str, raw: Raw) -> bool | npt.NDArray[np.bool_]:
        """Return whether ``raw`` is valid at ``level``; for an array, an array of booleans."""
        first, *others = self.valid_patterns(level)
        valid = first.accepts(raw)
        for pattern in others:
            valid = valid | pattern.accepts(raw)
        return valid

    def empty(self, level: str) -> int:
        """Return every entry of a new table of ``level``; it is not valid there."""
        return dict(self.empty_at).get(level, 0)

    def form(self, level: str, kind: EntryKind, fields: Iterable[str] = ()) -> EntryForm:
        """Return the form of ``kind`` at ``level`` that has the fields of these names, the plain one if it can be.

        The plain form too if no form has all of them. Raises EncodingError for a kind that the level does not have.
        """
        forms = self._forms(level, kind)
        if not forms:
            offered = ", ".join(form.kind.value for form in self.forms if level in form.levels) or "nothing"
            raise EncodingError(f"an entry at {level} cannot be a {kind.value}", rule=f"{level} may hold: {offered}")
        names = set(fields)
        return next((form for form in forms if names <= form.by_name.keys()), forms[0])

    def leaf_form(self, level: str) -> EntryForm | None:
        """Return the plain form of a leaf at ``level``; ``None`` if there are no leaves."""
        return next(iter(self._forms(level, EntryKind.LEAF)), None)

    def _forms(self, level: str, kind: EntryKind) -> list[EntryForm]:
        """Return the forms of ``kind`` at ``level``, the plain one first."""
        return [form for form in reversed(self.forms) if form.kind is kind and level in form.levels]

    def recognize(self, level: str, raw: int) -> EntryForm | None:
        """Return the form that ``raw`` has at ``level``; ``None`` if no form there matches."""
        for form in self.forms:
            if level in form.levels and form.matches(raw):
                return form
        return None

    def software_entry(self, level: str, raw: int) -> SoftwareEntry | None:
        """Return the kind of an entry that is not valid; ``None`` for a valid one, and one without a meaning."""
        if self.is_valid(level, raw):
            return None
        return next((kind for kind in self.software if kind.matches(level, raw)), None)

    def nearest(self, level: str, raw: int, kind: EntryKind | None = None) -> str:
        """Return in words the form at ``level`` from whose pattern ``raw`` differs least, and the bits that differ.

        kind  of the form; ``None``: any
        """
        forms = [form for form in self.forms if level in form.levels and kind in {None, form.kind}]
        patterns = [(form, (raw ^ match.value) & match.mask) for form in forms for match in form.recognize]
        if not patterns:
            return f"{level} has no such form"
        form, differing = min(patterns, key=lambda pattern: pattern[1].bit_count())
        return f"the nearest form is a {form}, which differs in {form.name_bits(differing) or 'no bit'}"

    def classify(self, level: str, raw: int) -> EntryKind:
        """Return the meaning of ``raw`` to a walk at ``level``, reserved bits aside."""
        if not self.is_valid(level, raw):
            return EntryKind.NONE
        form = self.recognize(level, raw)
        return EntryKind.ILLEGAL if form is None else form.kind

    def broken_rules(self, level: str, raw: int) -> list[tuple[str, str]]:
        """Return every rule that the valid entry ``raw`` breaks at ``level``, as pairs of text and source."""
        form = self.recognize(level, raw)
        if form is None:
            sources = "; ".join(dict.fromkeys(form.source for form in self.forms if form.source))
            what = f"the type bits of a valid entry at {level} are those of no form defined there"
            return [(f"{what}; {self.nearest(level, raw)}", sources)]
        rules = [rule for rule in form.rules if rule.broken_by.accepts(raw)]
        broken = [(rule.text, rule.source) for rule in rules]
        for name, value in form.constant:
            if form.by_name[name].get(raw) != value:
                broken.append((f"{form.by_name[name]} is {value} in every {form}", form.source))
        reserved = raw & form.reserved_mask(self.entry_bits) & ~union(rule.broken_by.mask for rule in rules)
        misaligned = reserved & self._leaf_address_mask if form.kind is EntryKind.LEAF else 0
        for mask, text in (
            (misaligned, f"the output address of a {form} is a multiple of {format_size(1 << form.shift)}"),
            (reserved & ~misaligned, "reserved bits must be zero"),
        ):
            if mask:
                broken.append((f"{text}, set are: {', '.join(map(str, set_bits(mask)))}", form.source))
        return broken

    @cached_property
    def _leaf_address_mask(self) -> int:
        """The bits that hold the output PA in some leaf: a reserved one in another leaf is for its alignment."""
        return union(form.address_mask for form in self.forms if form.kind is EntryKind.LEAF)

    def decode(self, level: str, raw: int, page_shift: int) -> Entry:
        """Decode ``raw`` at ``level``; raises EncodingError with the rule that a reserved or illegal entry breaks."""
        if not 0 <= raw < 1 << self.entry_bits:
            raise EncodingError(f"{raw:#x} is not an entry of {self.entry_bits} bits", where=level)
        if not self.is_valid(level, raw):
            return Entry(level, raw, EntryKind.NONE)
        form = self.recognize(level, raw)
        broken = self.broken_rules(level, raw)
        if broken or form is None:
            raise EncodingError(
                f"entry {raw:#018x} is not legal: " + "; ".join(text for text, _ in broken),
                where=f"level {level}",
                rule="; ".join(dict.fromkeys(source for _, source in broken if source)),
            )
        pa = form.get_address(raw)
        return Entry(level, raw, form.kind, pa >> page_shift, form, pa & ((1 << page_shift) - 1))

    def encode(self, level: str, kind: EntryKind, pfn: int, chosen: FieldValues, page_shift: int) -> int:
        """Return the entry of ``kind`` at ``level`` with that output PFN and those fields.

        Its form is one that has the fields. Raises EncodingError for a PFN that the form cannot hold (misaligned, too
        high), for unknown fields, and for a result that breaks a rule.
        """
        form = self.form(level, kind, (name for name, _ in chosen))
        pa = pfn << page_shift
        if pfn < 0 or pa & ~form.physical_mask:
            raise form.misfit(pfn, level)
        raw = form.put_address(pa) | form.put_fields(chosen)
        if self.decode(level, raw, page_shift).form is not form:
            raise EncodingError(f"the fields of {raw:#018x} are not those of a {form}", rule=form.source)
        return raw


@dataclass(frozen=True)
class Level:
    """One level of page tables.

    name         the kernel's name: pgd, p4d, pud, pmd, pte
    shift        log2 of the bytes of VA that one entry covers
    bits         number of VA bits that index a table
    entry_bytes  size of an entry
    fills_page   whether a table fills a page exactly; else it is a fraction of a page, or several pages

    hvolab allocates whole pages for every table. A kernel may have several tables in one page, as powerpc's fragments;
    then the table entries above have address bits below the page.
    """

    name: str
    shift: int
    bits: int
    entry_bytes: int = 8
    fills_page: bool = True

    @property
    def entries(self) -> int:
        """Entries in one table."""
        return 1 << self.bits

    @property
    def table_bytes(self) -> int:
        """Bytes of one table."""
        return self.entry_bytes << self.bits

    @property
    def size(self) -> int:
        """Bytes of VA that one entry covers."""
        return 1 << self.shift

    def index(self, va: int) -> int:
        """Return the index of ``va`` in a table of this level."""
        return (va >> self.shift) & (self.entries - 1)


def tiled_levels(page_shift: int, va_bits: int) -> tuple[Level, ...]:
    """Return levels of page-sized tables with entries of eight bytes; the root indexes the bits that remain."""
    table_bits = page_shift - 3
    depth = div_round_up(va_bits - page_shift, table_bits)
    shifts = [page_shift + table_bits * step for step in reversed(range(depth))]
    names = ("pgd", *("p4d", "pud", "pmd", "pte")[1 - depth :])
    first = Level(names[0], shifts[0], va_bits - shifts[0])
    return (first, *(Level(name, shift, table_bits) for name, shift in zip(names[1:], shifts[1:], strict=True)))


class LinearOrigin(enum.Enum):
    """The first frame of the direct map and the vmemmap."""

    ZERO = "PFN 0"  #: direct map of PA 0, struct page of PFN 0
    RAM = "first frame of RAM"  #: direct map of the start of RAM, struct page of its first frame


@dataclass(frozen=True)
class HugePageSize:
    """A huge page size that hugetlb offers: `count` entries at a level map its bytes (several: contiguous, NAPOT)."""

    level: str
    count: int
    size: int


@dataclass(frozen=True)
class PagingMode:
    """One geometry of paging.

    name, summary         its name for users, and one line
    page_shift            log2 of the base page size
    levels                from the root to the last level
    va_bits, pa_bits      widths
    format                the entries
    direct_map_base       VA of the direct map
    vmemmap_base          VA of the vmemmap (struct page of the first frame, see ``origin``)
    origin                first frame of both
    vmemmap_level         level whose leaves map the vmemmap at boot
    direct_map_level      highest level whose leaves may map the direct map
    huge_page_levels      (level name, entries) of each huge page size, ascending
    split_roots           whether kernel VAs have a root of their own, and so a whole VA width to themselves
    direct_map_size       bytes of VA for the direct map, and so the most RAM that is possible; 0: not declared
    kernel_base           first VA of the kernel's part of the VA space; ``None``: it ends with the last VA of 64 bits
    text_base             VA of the kernel's image; ``None``: not declared
    source                manual or kernel file of the figures
    """

    name: str
    summary: str
    page_shift: int
    levels: tuple[Level, ...]
    va_bits: int
    pa_bits: int
    format: EntryFormat
    direct_map_base: int
    vmemmap_base: int
    origin: LinearOrigin
    vmemmap_level: str
    direct_map_level: str
    huge_page_levels: tuple[tuple[str, int], ...]
    split_roots: bool = False
    direct_map_size: int = 0
    kernel_base: int | None = None
    text_base: int | None = None
    source: str = ""

    @property
    def page_size(self) -> int:
        """Bytes of a base page."""
        return 1 << self.page_shift

    @property
    def last(self) -> Level:
        """The level whose entries map base pages."""
        return self.levels[-1]

    def level(self, name: str) -> Level:
        """Return the level of that name; raises UsageError with the names that exist."""
        return named(self.levels, name, f"no level {name!r} in {self.name}")

    @property
    def huge_pages(self) -> tuple[HugePageSize, ...]:
        """The huge page sizes, ascending."""
        return tuple(HugePageSize(name, count, self.level(name).size * count) for name, count in self.huge_page_levels)

    @property
    def kernel_vas(self) -> range:
        """The kernel's VAs: without ``kernel_base``, all bits above the VA's width are ones."""
        size = 1 << (self.va_bits if self.split_roots else self.va_bits - 1)
        first = (1 << 64) - size if self.kernel_base is None else self.kernel_base
        return range(first, min(first + size, 1 << 64))

    def canonical(self, va: int) -> bool:
        """Return whether ``va`` is a kernel VA."""
        return va in self.kernel_vas

    def misplaced(self, title: str, va: int) -> tuple[str, str, str]:
        """Return fault, rule and hint for something called ``title`` that is not in the kernel's VAs."""
        vas = f"[{self.kernel_vas.start:#x}, {self.kernel_vas.stop:#x})"
        base = "not declared" if self.kernel_base is None else f"{self.kernel_base:#x}"
        rule = (
            f"the kernel's VAs are {vas}, by va_bits {self.va_bits}, split_roots {self.split_roots}, kernel_base {base}"
        )
        hint = "for VAs that are high but not sign-extended declare kernel_base, and split_roots for a whole VA width"
        return f"the {title}, {va:#x}, is not a kernel VA", rule, hint

    def check(self) -> None:
        """Raise DescriptionError if the geometry contradicts itself."""
        _ = self._checked

    @cached_property
    def _checked(self) -> None:
        """The result of the checks, which are made once for a mode that passes them."""
        where = f"mode {self.name}"
        for what, rule, hint in (*self._faults_of_levels(), *self._faults_of_bases_and_entries()):
            raise DescriptionError(what, where=where, rule=rule, hint=hint)
        for name in (self.vmemmap_level, self.direct_map_level, *(name for name, _ in self.huge_page_levels)):
            check_name("level", name, [level.name for level in self.levels], where)
            self.format.form(name, EntryKind.LEAF)
        for level in self.levels[:-1]:
            if len(self.format.form(level.name, EntryKind.TABLE).recognize) != 1:
                raise DescriptionError(f"a table entry at {level.name} must be recognized by one pattern", where=where)

    def _faults_of_levels(self) -> Iterator[tuple[str, str, str]]:
        """Return fault, rule and hint where the levels do not tile a VA."""
        names = [level.name for level in self.levels]
        if len(names) < 2:
            yield f"{len(names)} levels of page tables", "the vmemmap is remapped in tables below another level", ""
            return
        expected = self.page_shift
        for level in reversed(self.levels):
            if level.shift != expected:
                fault = f"level {level.name} has shift {level.shift}, the levels below it end at {expected}"
                yield fault, "the levels tile the VA without gap or overlap", ""
            expected += level.bits
        if (size := self.last.table_bytes) > self.page_size:
            fault = f"a table of {self.last.name} takes {size:#x} bytes, a page has {self.page_size:#x}"
            yield fault, "a leaf is split into a table of one page: pte_alloc_one_kernel()", ""
        if expected != self.va_bits:
            yield f"the levels index {expected} bits of a VA of {self.va_bits}", "", ""
        if len(set(names)) != len(names):
            yield "two levels have the same name", "", ""

    def _faults_of_bases_and_entries(self) -> Iterator[tuple[str, str, str]]:
        """Return fault, rule and hint for a base that is not a kernel page, and for a valid empty entry."""
        bases = {"direct map": self.direct_map_base, "vmemmap": self.vmemmap_base, "kernel's image": self.text_base}
        for title, base in bases.items():
            if base is not None and not self.canonical(base):
                yield self.misplaced(f"base of the {title}", base)
            if base is not None and base % self.page_size:
                yield f"the base of the {title}, {base:#x}, is inside a page", "a base is the VA of a page", ""
        for level in self.levels:
            empty = self.format.empty(level.name)
            if self.format.is_valid(level.name, empty):
                hint = "declare an empty entry for the level: EntryFormat.empty_at"
                yield f"an empty entry of {level.name}, {empty:#x}, is valid", "a new table maps nothing", hint
