# SPDX-License-Identifier: GPL-2.0-only
"""Mapping of the folios' struct pages during a schedule: what each page translates to, and which frames map it.

The emulator does not report the accesses of its page-table walker. What a walk reads is known from the frame that an
access reaches: the page of the vmemmap that maps it, or has mapped it earlier in the schedule.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from hvolab.machine import Machine

#: Frame and last-level entry of each page; an entry of 0 for a page that a leaf above maps.
_State = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]


class Translations:
    """Translations of the ranges of vmemmap that map the given VAs: a page is its VA shifted by the page size.

    pages    pages of ``followed`` that a frame maps or has mapped in this schedule, by PFN
    tables   PFNs of the tables of the last two levels
    """

    def __init__(self, machine: Machine, vas: Iterable[int]) -> None:
        mode = machine.target.mode
        self._tables, self._last = machine.tables, mode.last
        self._shift = mode.page_shift
        unit = mode.levels[-2].size
        self._units = sorted({va & -unit for va in vas})
        self._count = unit >> mode.page_shift
        self.pages: dict[int, set[int]] = {}
        self.tables: set[int] = set()
        self._state: list[_State] = []

    def begin(self, followed: Iterable[int]) -> None:
        """Read the mapping at the begin of a schedule, for the pages that are followed."""
        self._state = [self._read(unit) for unit in self._units]
        self.pages = {}
        numbers = set(followed)
        for unit, (frames, _) in zip(self._units, self._state, strict=True):
            first = unit >> self._shift
            for page in numbers.intersection(range(first, first + self._count)):
                self.pages.setdefault(int(frames[page - first]), set()).add(page)
        self._find_tables()

    def _find_tables(self) -> None:
        self.tables = {step.slot >> self._shift for unit in self._units for step in self._tables.walk(unit)[-2:]}

    def _read(self, unit: int) -> _State:
        frames = self._tables.frames(unit, self._count)
        entries = np.zeros(self._count, dtype=np.uint64)
        for run in self._tables.runs(unit, unit + (self._count << self._shift)):
            if run.level is self._last:
                first = run.va - unit >> self._shift
                entries[first : first + run.raws.size] = run.raws
        return frames, entries

    def update(self) -> list[int]:
        """Read the mapping again after a store to a table; return the pages whose translation has changed."""
        found: list[int] = []
        for position, unit in enumerate(self._units):
            frames, entries = self._read(unit)
            old_frames, old_entries = self._state[position]
            changed = (frames != old_frames) | ((entries != old_entries) & (entries != 0) & (old_entries != 0))
            self._state[position] = frames, entries
            for index in np.flatnonzero(changed).tolist():
                page = (unit >> self._shift) + index
                found.append(page)
                self.pages.setdefault(int(old_frames[index]), set()).add(page)
                self.pages.setdefault(int(frames[index]), set()).add(page)
        self._find_tables()
        return found
