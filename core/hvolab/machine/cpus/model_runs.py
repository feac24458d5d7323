"""Translations and copies of many VAs at once, for the modeled CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hvolab.machine.memory import PhysicalMemory
from hvolab.machine.tables import PageTables

Vas = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
#: (depth, entries, table entries on the way, accesses needed) -> whether all of them allow it as they are.
Judge = Callable[[int, Vas, list[int], int], bool]

#: Pages copied at once: as much as a cache of the host holds.
_COPIED_AT_ONCE = 32


class ModelRuns:
    """What a modeled CPU does for runs of VAs: it walks the tables, and leaves its TLB as it is.

    A CPU is free to walk although it has a translation cached, so what is stale in the TLB does not matter here.
    """

    def __init__(
        self, memory: PhysicalMemory, tables: PageTables, judge: Judge, translate: Callable[[int, int], int]
    ) -> None:
        self._memory = memory
        self._tables = tables
        self._judge = judge
        self._translate = translate
        mode = tables.target.mode
        self._last = mode.last
        self._last_depth = len(mode.levels) - 1
        self._levels = mode.levels
        self._unit_shift = np.uint64(mode.levels[-2].shift)
        self._page_form = tables.target.page_form
        self._leaf_forms = [mode.format.leaf_form(level.name) for level in mode.levels]

    def offsets(self, vas: Vas, need: int) -> Offsets:
        """Offsets in memory of ``vas`` for accesses that need ``need``; raises PageFault at the first that faults."""
        units = vas >> self._unit_shift
        breaks = (np.flatnonzero(units[1:] != units[:-1]) + 1).tolist()
        found = np.empty(vas.size, dtype=np.int64)
        for start, stop in zip([0, *breaks], [*breaks, vas.size], strict=True) if vas.size else ():
            part = self._unit(vas[start:stop], need)
            found[start:stop] = self._singly(vas[start:stop], need) if part is None else part
        return found

    def _unit(self, vas: Vas, need: int) -> Offsets | None:
        """Offsets of VAs that one entry above the last level covers; ``None`` where each has to be looked at."""
        first, seen = int(vas[0]), list[int]()
        depth, index, raw = self._tables.descend(first, seen)
        memory = self._memory
        if memory.present is not None:
            return None
        if depth != self._last_depth:
            form, size = self._leaf_forms[depth], self._levels[depth].size
            if form is None or not self._judge(depth, np.array([raw], dtype=np.uint64), seen, need):
                return None
            start = form.get_address(raw) - memory.base + (first & (size - 1))
            offsets = (vas - vas[0]).astype(np.int64) + start  # may lie before the first one: wraps, and wraps back
        else:
            table = index - self._last.index(first)
            places = ((vas >> np.uint64(self._last.shift)) & np.uint64(self._last.entries - 1)).astype(np.int64)
            raws = memory.words[places + table]
            if not self._judge(depth, raws, seen, need):
                return None
            pas = self._page_form.get_address(raws) | (vas & np.uint64(self._last.size - 1))
            offsets = pas.astype(np.int64) - memory.base
        return offsets if offsets.min() >= 0 and offsets.max() < memory.size else None

    def _singly(self, vas: Vas, need: int) -> Offsets:
        memory = self._memory
        return np.array([memory.offset(self._translate(va, need)) for va in vas.tolist()], dtype=np.int64)

    def copy_pages(self, to: Offsets, source: Offsets) -> None:
        """Copy pages from one offset each to another."""
        pages, shift = self._memory.pages, self._memory.page_shift
        rows, sources = to >> shift, source >> shift
        for first in range(0, rows.size, _COPIED_AT_ONCE):
            part = slice(first, first + _COPIED_AT_ONCE)
            pages[rows[part]] = pages[sources[part]]

    def copy_runs(self, to: Offsets, source: Offsets, size: int) -> None:
        """Copy ``size`` bytes, whole words, from one offset each to another."""
        words, inside = self._memory.words, np.arange(size // 8)
        words[(to >> 3)[:, None] + inside] = words[(source >> 3)[:, None] + inside]

    def write_rows(self, slots: Offsets, rows: npt.NDArray[np.uint64]) -> None:
        """Store one row of words at each offset."""
        self._memory.words[(slots >> 3)[:, None] + np.arange(rows.shape[1])] = rows
