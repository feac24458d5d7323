"""The struct pages of a machine: where they are, by VA and in physical memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, LinearOrigin
from hvolab.errors import AbsentMemoryError
from hvolab.machine.memory.tables import PageTables
from hvolab.machine.struct_pages.layout import WORD, StructPageLayout

Pfns = npt.NDArray[np.int64]
_NOT_MAPPED = "its vmemmap is not mapped"
_NO_FRAME = "the frame that holds it is not in memory"

#: How many pages of the vmemmap are remembered by themselves.
_MOST_NEAR = 4096
#: Words that a walk goes through, by index, with what was in them; what leads from an offset in the vmemmap to memory.
_Known = tuple[tuple[tuple[int, int], ...], int]


class StructPages:
    """Struct pages at the vmemmap's VAs, in the memory that the tables map them to.

    layout     what a struct page looks like
    base       VA of the first struct page
    first_pfn  the PFN that it describes
    memory     the memory that holds them
    """

    def __init__(self, tables: PageTables, layout: StructPageLayout) -> None:
        mode = tables.target.mode
        self.layout = layout
        self.base = mode.vmemmap_base
        self.first_pfn = tables.memory.first_pfn if mode.origin is LinearOrigin.RAM else 0
        self._tables = tables
        self.memory = tables.memory
        self._size = layout.size
        self._page_shift = mode.page_shift
        self._last = mode.last
        # a unit is what one entry above the last level maps
        self._unit_shift = mode.levels[-2].shift
        self._inside = [level.size - 1 for level in mode.levels]
        self._levels = mode.levels
        self._is_valid = mode.format.is_valid
        self._leaf_forms = [mode.format.leaf_form(level.name) for level in mode.levels]
        self._skew = self.base & (mode.levels[-2].size - 1)
        #: Of units that one leaf maps: the words that lead there and what was in them, and where struct pages are from
        #: their offsets in the vmemmap. Single steps ask for the same few units thousands of times.
        self._leaves: dict[int, _Known] = {}
        #: The same of pages, where pages map the vmemmap.
        self._near: dict[int, _Known] = {}

    def va(self, pfn: int) -> int:
        """VA of the struct page of ``pfn``. Kernel: pfn_to_page()."""
        return self.base + (pfn - self.first_pfn) * self._size

    def pfn(self, va: int) -> int:
        """PFN that the struct page at ``va`` describes. Kernel: page_to_pfn()."""
        return (va - self.base) // self._size + self.first_pfn

    def locate_one(self, pfn: int) -> int:
        """As :meth:`locate`, for one struct page: single steps need it often, and runs need more."""
        offset = (pfn - self.first_pfn) * self._size
        unit = (offset + self._skew) >> self._unit_shift
        page = (offset + self._skew) >> self._page_shift
        known = self._leaves.get(unit) or self._near.get(page)
        if known is not None and self.memory.present is None:
            words = self.memory.scalar
            for index, raw in known[0]:
                if words[index] != raw:
                    self._leaves.pop(unit, None)
                    self._near.pop(page, None)
                    break
            else:
                return offset + known[1]
        where, depth = self._walk_to(pfn)
        if self.memory.present is None:
            self._remember(unit, page, offset, where, last=self._levels[depth] is self._last)
        return where

    def _remember(self, unit: int, page: int, offset: int, where: int, *, last: bool) -> None:
        """Note the walk to a unit that one leaf maps, if all of it is in memory, or to a page."""
        memory, size = self.memory, 1 << self._unit_shift
        start = where - ((offset + self._skew) & (size - 1))
        if last or (start >= 0 and start + size <= memory.size):
            walk = self._tables.walk(self.base + offset)
            known = tuple(((step.slot - memory.base) // WORD, step.raw) for step in walk), where - offset
            if last:
                if len(self._near) == _MOST_NEAR:
                    self._near.clear()
                self._near[page] = known
            else:
                self._leaves[unit] = known

    def _walk_to(self, pfn: int) -> tuple[int, int]:
        """Byte offset of one struct page, and the depth of the leaf that maps it."""
        va = self.base + (pfn - self.first_pfn) * self._size
        depth, _, raw = self._tables.descend(va)
        form = self._leaf_forms[depth]
        if form is None or not form.matches(raw) or not self._is_valid(self._levels[depth].name, raw):
            raise _absent(pfn, _NOT_MAPPED)
        pa: int = form.get_address(raw) + (va & self._inside[depth])
        if not self.memory.holds(pa):
            raise _absent(pfn, _NO_FRAME)
        return pa - self.memory.base, depth

    def locate_few(self, pfns: list[int]) -> list[int]:
        """As :meth:`locate`, for so few struct pages that arrays would not pay: one walk for each leaf."""
        found: list[int] = []
        start = stop = delta = 0  # offsets into the vmemmap that the last walk's leaf maps, and where to
        for pfn in pfns:
            offset = (pfn - self.first_pfn) * self._size
            if not start <= offset < stop:
                where, depth = self._walk_to(pfn)
                start = offset - ((self.base + offset) & self._inside[depth])
                stop, delta = start + self._inside[depth] + 1, where - offset
            found.append(offset + delta)
        return found

    def locate(self, pfns: Pfns) -> Pfns:
        """Byte offsets in memory of the struct pages of ``pfns``, as the tables map them now.

        Raises AbsentMemoryError for one that is not mapped or not there.
        """
        if pfns.size == 1:
            return np.array([self.locate_one(int(pfns[0]))], dtype=np.int64)
        offsets = (pfns - self.first_pfn) * self._size
        units = (offsets + self._skew) >> self._unit_shift
        where = np.empty_like(offsets)
        breaks = np.flatnonzero(np.diff(units)) + 1
        starts = [0, *breaks.tolist()]
        stops = [*breaks.tolist(), offsets.size]
        for start, stop in zip(starts, stops, strict=True) if offsets.size else ():
            where[start:stop] = self._locate_unit(offsets[start:stop])
        return self._present(pfns, where)

    def _present(self, pfns: Pfns, where: Pfns) -> Pfns:
        """``where``, if every frame there is in memory."""
        if not where.size:
            return where
        if where.min() < 0 or where.max() >= self.memory.size:
            outside = (where < 0) | (where >= self.memory.size)
            raise _absent(int(pfns[outside][0]), _NO_FRAME)
        if self.memory.present is not None:
            missing = ~self.memory.present[where >> self._page_shift]
            if missing.any():
                raise _absent(int(pfns[missing][0]), _NO_FRAME)
        return where

    def _locate_unit(self, offsets: Pfns) -> Pfns:
        """As :meth:`locate`, for offsets within the vmemmap that one entry above the last level covers."""
        where: Pfns
        memory = self.memory
        first = self.base + int(offsets[0])
        step = self._tables.find(first)
        if step.level is self._last:
            index = ((offsets + self._skew) >> self._page_shift) & (self._last.entries - 1)
            table = step.slot - self._last.index(first) * self._last.entry_bytes
            raws = memory.word_view(table, self._last.entries)[index]
            valid = self._is_valid(self._last.name, raws)
            if not np.all(valid):
                unmapped = offsets[np.flatnonzero(~np.asarray(valid))[0]]
                raise _absent(self.pfn(self.base + int(unmapped)), _NOT_MAPPED)
            pas = self._tables.target.page_frames(raws) << self._page_shift
            inside = (1 << self._page_shift) - 1
            where = pas + ((offsets + self._skew) & inside) - memory.base
            return where
        if step.kind is not EntryKind.LEAF:
            raise _absent(self.pfn(first), _NOT_MAPPED)
        form = self._tables.target.mode.format.form(step.level.name, EntryKind.LEAF)
        start: int = form.get_address(step.raw) + (first & (step.level.size - 1)) - memory.base
        where = start + (offsets - offsets[0])
        return where

    def words(self, pfns: Pfns, offset: int) -> npt.NDArray[np.uint64]:
        """The word at ``offset`` in each struct page of ``pfns``."""
        return self.memory.words[(self.locate(pfns) + offset) // WORD]

    def word(self, pfn: int, offset: int) -> int:
        """The word at ``offset`` in one struct page."""
        return self.memory.scalar[(self.locate_one(pfn) + offset) // WORD]

    def set_words(self, pfns: Pfns, offset: int, value: int) -> None:
        """Store a word in each struct page of ``pfns``."""
        self.memory.words[(self.locate(pfns) + offset) // WORD] = value

    def make_tails(self, words: npt.NDArray[np.uint64], head: int, order: int) -> None:
        """Make tails of the compound page at VA ``head`` of struct pages, given by rows of words.

        Kernel: prep_compound_tail() in mm/internal.h, v6.12, on pages without references.
        """
        layout = self.layout
        words[:, layout.mapping // WORD] = layout.tail_mapping
        words[:, layout.compound_head // WORD] = layout.tail_link(head, order)
        words[:, layout.private // WORD] = 0
        halves = words.view(self.memory.halves.dtype)
        halves[:, layout.page_type // 4] = layout.page_type_none
        halves[:, layout.refcount // 4] = 0

    def initialize(
        self, start: int, count: int, *, node: int, zone: int, refcount: int = 0, reserved: bool = False
    ) -> None:
        """Fill ``count`` struct pages from PFN ``start`` on as boot does. Kernel: __init_single_page(), v6.12.

        Their vmemmap must be mapped; runs of contiguous memory are filled at once.
        """
        layout = self.layout
        flags = layout.links(node, zone) | (1 << layout.pg_reserved if reserved else 0)
        per_unit = max(1, (1 << self._unit_shift) // self._size)
        done = 0
        while done < count:
            pfn = start + done
            part = min(count - done, per_unit - (pfn - self.first_pfn) % per_unit)
            where = self.locate(np.arange(pfn, pfn + part, dtype=np.int64))
            first = int(where[0])
            if part > 1 and not (np.diff(where) == self._size).all():
                rows = where[:, None] // WORD + np.arange(layout.words)
                self.memory.words[rows] = self._fresh(pfn, part, flags, refcount)
            else:
                view = self.memory.words[first // WORD : first // WORD + part * layout.words]
                view.reshape(part, layout.words)[:] = self._fresh(pfn, part, flags, refcount)
            done += part

    def _fresh(self, pfn: int, count: int, flags: int, refcount: int) -> npt.NDArray[np.uint64]:
        """The words of ``count`` struct pages just initialized."""
        layout = self.layout
        octets = np.zeros((count, layout.size), dtype=np.uint8)
        words = octets.view(self.memory.words.dtype)
        words[:, layout.flags // WORD] = flags
        lru = self.va(pfn) + layout.lru_next + np.arange(count, dtype=np.uint64) * np.uint64(layout.size)
        words[:, layout.lru_next // WORD] = lru
        words[:, layout.lru_prev // WORD] = lru
        halves = octets.view(self.memory.halves.dtype)
        halves[:, layout.page_type // 4] = layout.page_type_none
        halves[:, layout.refcount // 4] = refcount
        return words


def _absent(pfn: int, why: str) -> AbsentMemoryError:
    return AbsentMemoryError(f"the struct page of PFN {pfn:#x} cannot be reached: {why}", where=f"PFN {pfn:#x}")
