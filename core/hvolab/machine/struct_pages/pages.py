# SPDX-License-Identifier: GPL-2.0-only
"""The struct pages of a machine, by VA and in physical memory."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from hvolab.arch import LinearOrigin
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.arrays import consecutive_runs, equal_runs
from hvolab.errors import AbsentMemoryError
from hvolab.machine.memory.physical import Words
from hvolab.machine.memory.tables import PageTables
from hvolab.release.struct_page import StructPageLayout

Pfns = npt.NDArray[np.int64]
_NOT_MAPPED = "its vmemmap is not mapped"
_NO_FRAME = "the frame that holds it is not in memory"

#: Walks that are remembered at most.
_MOST_WALKS = 4096
#: Walks to one page of the vmemmap that are remembered at most: its table is split, and restored from a checkpoint.
_WALKS_TO_A_PAGE = 4
#: So many struct pages are located faster one by one.
_FEW = 16
#: A remembered walk: a function that reads the entries on the way; their values; the distance from an offset in the
#: vmemmap to the offset in memory; the entries' indices.
_Walk = tuple[Callable[[Words], tuple[int, ...]], tuple[int, ...], int, tuple[int, ...]]


class StructPages:
    """Struct pages at the vmemmap's VAs, in the memory that the tables map them to.

    layout     fields of a struct page
    base       VA of the first struct page
    first_pfn  the PFN that it describes
    memory     the memory that holds them
    """

    def __init__(self, tables: PageTables, layout: StructPageLayout) -> None:
        mode = tables.target.mode
        self.layout = layout
        self.base = mode.vmemmap_base
        self.first_pfn = tables.memory.first_pfn if mode.origin is LinearOrigin.RAM else 0
        self._order = layout.folio_order.place(layout.size, tables.target.architecture.byte_order)
        self._tables = tables
        self.memory = tables.memory
        self._size = layout.size
        self._straddles = layout.straddles
        self._page_shift = mode.page_shift
        self._last = mode.last
        # one entry above the last level covers a unit
        self._unit_shift = mode.levels[-2].shift
        self._levels = mode.levels
        self._is_valid = mode.format.is_valid
        self._leaf_forms = [mode.format.leaf_form(level.name) for level in mode.levels]
        self._skew = self.base & (mode.levels[-2].size - 1)
        #: Remembered walks by page of the vmemmap: single steps need the same few pages thousands of times.
        self._walks: dict[int, list[_Walk]] = {}

    def va(self, pfn: int) -> int:
        """Return the VA of the struct page of ``pfn``. Kernel: pfn_to_page()."""
        return self.base + (pfn - self.first_pfn) * self._size

    def pfn(self, va: int) -> int:
        """Return the PFN that the struct page at ``va`` describes. Kernel: page_to_pfn()."""
        return (va - self.base) // self._size + self.first_pfn

    def locate_one(self, pfn: int, field: int = 0) -> int:
        """Return as :meth:`locate` for one struct page: a remembered walk is used while its entries are unchanged."""
        offset = (pfn - self.first_pfn) * self._size + field
        memory = self.memory
        if memory.present is None:
            entries = memory.entry_scalar
            for known in self._walks.get((offset + self._skew) >> self._page_shift, ()):
                if known[0](entries) == known[1]:
                    return offset + known[2]
        _, _, pa = self._leaf(offset)
        if not memory.holds(pa):
            raise _absent(pfn, _NO_FRAME)
        where = pa - memory.base
        if memory.present is None:
            self._remember(offset, where)
        return where

    def _remember(self, offset: int, where: int) -> None:
        """Remember the walk to an offset in the vmemmap, which is at an offset in memory."""
        if len(self._walks) == _MOST_WALKS:
            self._walks.clear()
        walk = self._tables.walk(self.base + offset)
        indices = tuple([(step.slot - self.memory.base) >> WORD_SHIFT for step in walk])
        raws = tuple([step.raw for step in walk])
        known = self._walks.setdefault((offset + self._skew) >> self._page_shift, [])
        known.insert(0, (itemgetter(*indices), raws, where - offset, indices))
        del known[_WALKS_TO_A_PAGE:]

    def locate_with_entries(self, pfn: int) -> tuple[int, ...]:
        """Return as :meth:`locate_one`, and after that the index of each entry that the walk reads, the root's first.

        No part of the memory must be absent.
        """
        offset = (pfn - self.first_pfn) * self._size
        entries, page = self.memory.entry_scalar, (offset + self._skew) >> self._page_shift
        for known in self._walks.get(page, ()):
            if known[0](entries) == known[1]:
                return offset + known[2], *known[3]
        return self.locate_one(pfn), *self._walks[page][0][3]

    def locate_fields(self, pfn: int, *fields: int) -> list[int]:
        """Return as :meth:`locate_one` the places of fields of one struct page, at little more than the cost of one."""
        if self._straddles:
            return [self.locate_one(pfn, field) for field in fields]
        where = self.locate_one(pfn)
        return [where + field for field in fields]

    def _leaf(self, offset: int) -> tuple[int, int, int]:
        """Walk for an offset in the vmemmap; return the depth of its leaf, the index of that word, and the PA."""
        va = self.base + offset
        depth, index, raw = self._tables.descend(va)
        form, level = self._leaf_forms[depth], self._levels[depth]
        if form is None or not form.matches(raw) or not self._is_valid(level.name, raw):
            raise _absent(self.pfn(va), _NOT_MAPPED)
        return depth, index, form.get_address(raw) + (va & (level.size - 1))

    def locate(self, pfns: Pfns, field: int = 0) -> Pfns:
        """Return the byte offsets in memory of a field of the struct pages of ``pfns``, as the tables map them now.

        field  its offset; a struct page that straddles two pages of the vmemmap may be in two places
        Raises AbsentMemoryError for one that is not mapped, or in absent memory.
        """
        memory = self.memory
        if pfns.size <= _FEW:
            return np.array([self.locate_one(pfn, field) for pfn in pfns.tolist()], dtype=np.int64)
        offsets = (pfns - self.first_pfn) * self._size + field
        where = np.empty_like(offsets)
        starts, stops = equal_runs((offsets + self._skew) >> self._unit_shift)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            where[start:stop] = self._locate_unit(offsets[start:stop])
        outside = (where < 0) | (where >= memory.size)
        if memory.present is not None and not outside.any():
            outside = ~memory.fetch((where >> self._page_shift) + memory.first_pfn)
        if outside.any():
            raise _absent(int(pfns[outside][0]), _NO_FRAME)
        return where

    def _locate_unit(self, offsets: Pfns) -> Pfns:
        """Return as :meth:`locate`, for offsets in the vmemmap that one entry above the last level covers."""
        depth, index, pa = self._leaf(int(offsets[0]))
        if self._levels[depth] is not self._last:
            return offsets + (pa - self.memory.base - int(offsets[0]))
        pages = (offsets + self._skew) >> self._page_shift
        raws = self.memory.entries[index + pages - pages[0]]
        valid = np.asarray(self._is_valid(self._last.name, raws))
        if not valid.all():
            raise _absent(self.pfn(self.base + int(offsets[~valid][0])), _NOT_MAPPED)
        inside = (offsets + self._skew) & ((1 << self._page_shift) - 1)
        return (self._tables.target.page_frames(raws) << self._page_shift) + inside - self.memory.base

    def rows(self, first: int, count: int) -> npt.NDArray[np.uint64]:
        """Return a copy of ``count`` struct pages from PFN ``first`` on, as the tables map them, as rows of words."""
        va, words = self.va(first), self.layout.words
        start = va & -(1 << self._page_shift)
        pages = (va + count * self._size - 1 - start >> self._page_shift) + 1
        frames = self._tables.frames(start, pages)
        if (frames < 0).any():
            raise _absent(first, _NOT_MAPPED)
        if self.memory.present is not None:
            self.memory.fetch(frames)
        found = self.memory.pages[frames - self.memory.first_pfn].reshape(-1)
        skip = (va - start) // WORD_BYTES
        rows: npt.NDArray[np.uint64] = found[skip : skip + count * words].reshape(count, words)
        return rows

    def words(self, pfns: Pfns, offset: int) -> npt.NDArray[np.uint64]:
        """Return the word at ``offset`` in each struct page of ``pfns``."""
        return self.memory.words[self.locate(pfns, offset) // WORD_BYTES]

    def word(self, pfn: int, offset: int) -> int:
        """Return the word at ``offset`` in one struct page."""
        return self.memory.scalar[self.locate_one(pfn, offset) // WORD_BYTES]

    def order(self, pfn: int) -> int:
        """Return the order of the compound page with this head. Kernel: folio_order()."""
        page, offset = divmod(self._order.offset, self._size)
        return self._order.get(self.word(pfn + page, offset))

    def optimized(self, pfns: Pfns) -> npt.NDArray[np.bool_]:
        """Return for each folio whether its head struct page, as the tables map it, has HPG_vmemmap_optimized."""
        bit = np.uint64(1 << self.layout.hpg_vmemmap_optimized)
        flags: npt.NDArray[np.bool_] = self.words(pfns, self.layout.private) & bit != 0
        return flags

    def set_words(self, pfns: Pfns, offset: int, value: int) -> None:
        """Store a word in each struct page of ``pfns``."""
        self.memory.words[self.locate(pfns, offset) // WORD_BYTES] = value

    def make_tails(
        self, words: npt.NDArray[np.uint64], head: int, order: int, *, gigantic: bool = False, fresh: bool = True
    ) -> None:
        """Turn struct pages, given as rows of words, into tails of the compound page whose head is at VA ``head``.

        fresh  their page was just allocated: no page has a reference, none is mapped

        Kernel: prep_compound_tail() in mm/internal.h, v6.12.
        """
        layout = self.layout
        if layout.gigantic_tail_mapping or not gigantic:
            words[:, layout.mapping // WORD_BYTES] = layout.tail_mapping
        words[:, layout.compound_head // WORD_BYTES] = layout.tail_link(head, order)
        words[:, layout.private // WORD_BYTES] = 0
        if fresh:
            halves = words.view(self.memory.halves.dtype)
            halves[:, layout.page_type // 4] = layout.page_type_none
            halves[:, layout.refcount // 4] = 0

    def initialize(
        self, start: int, count: int, *, node: int, zone: int, refcount: int = 0, reserved: bool = False
    ) -> None:
        """Fill ``count`` struct pages from PFN ``start`` on as boot does; their vmemmap must be mapped.

        Kernel: __init_single_page() in mm/mm_init.c, v6.12.
        """
        layout = self.layout
        flags = layout.links(node, zone) | (1 << layout.pg_reserved if reserved else 0)
        per_unit = max(1, (1 << self._unit_shift) // self._size)
        pfn = start
        while pfn < start + count:
            part = min(start + count - pfn, per_unit - (pfn - self.first_pfn) % per_unit)
            pfns = np.arange(pfn, pfn + part, dtype=np.int64)
            if layout.straddles:
                fresh = np.empty((part, layout.words), dtype=self.memory.words.dtype)
                self._fill(fresh, pfn, flags, refcount)
                for number in range(layout.words):
                    self.memory.words[self.locate(pfns, number * WORD_BYTES) // WORD_BYTES] = fresh[:, number]
            else:
                where = self.locate(pfns)
                for first, stop in zip(*(ends.tolist() for ends in consecutive_runs(where, self._size)), strict=True):
                    word, count_words = int(where[first]) // WORD_BYTES, (stop - first) * layout.words
                    rows = self.memory.words[word : word + count_words].reshape(-1, layout.words)
                    self._fill(rows, pfn + first, flags, refcount)
            pfn += part

    def _fill(self, words: npt.NDArray[np.uint64], pfn: int, flags: int, refcount: int) -> None:
        """Fill struct pages from PFN ``pfn`` on, given as rows of words, in the state of `__init_single_page()`."""
        layout = self.layout
        row = np.zeros(layout.words, dtype=words.dtype)
        row[layout.flags // WORD_BYTES] = flags
        halves = row.view(self.memory.halves.dtype)
        halves[layout.page_type // 4] = layout.page_type_none
        halves[layout.refcount // 4] = refcount
        words[:] = row
        lru = self.va(pfn) + layout.lru_next + np.arange(len(words), dtype=np.uint64) * np.uint64(layout.size)
        words[:, layout.lru_next // WORD_BYTES] = lru
        words[:, layout.lru_prev // WORD_BYTES] = lru


def _absent(pfn: int, why: str) -> AbsentMemoryError:
    return AbsentMemoryError(f"the struct page of PFN {pfn:#x} cannot be reached: {why}", where=f"PFN {pfn:#x}")
