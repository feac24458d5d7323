# SPDX-License-Identifier: GPL-2.0-only
"""Mapping of the folios' struct pages during a schedule: what each page translates to, and which frames map it.

The emulator does not report the accesses of its page-table walker. What a walk reads is known from the frame that an
access reaches: the page of the vmemmap that maps it, or has mapped it earlier in the schedule.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hvolab.arithmetic import WORD_SHIFT
from hvolab.machine import Machine

#: Frame and last-level entry of each page; an entry of 0 for a page that a leaf above maps.
_State = tuple[list[int], list[int]]


class Translations:
    """Translations of the ranges of vmemmap that map the given VAs: a page is its VA shifted by the page size.

    pages    pages of ``followed`` that a frame maps or has mapped in this schedule, by PFN
    frames   frames that a page is mapped to or has been mapped to in this schedule
    tables   PFNs of the tables of the last two levels
    """

    def __init__(self, machine: Machine, vas: Iterable[int]) -> None:
        mode = machine.target.mode
        self._memory, self._tables, self._last = machine.memory, machine.tables, mode.last
        self._shift = mode.page_shift
        unit = mode.levels[-2].size
        self._units = sorted({va & -unit for va in vas})
        self._count = unit >> mode.page_shift
        self.pages: dict[int, set[int]] = {}
        self.frames: dict[int, set[int]] = {}
        self.tables: set[int] = set()
        self._first_state: list[_State] = []
        self._state: list[_State] = []
        #: Ranges that tables of the last level map, as positions in ``_units``, by number of the table in memory.
        self._mapped: dict[int, int] = {}
        #: Frames that entries of the last level map, by page and entry: to decode one takes longer than a step.
        self._decoded: dict[tuple[int, int], int] = {}

    def begin(self, followed: Iterable[int]) -> None:
        """Begin a schedule, with the mapping of the first one, for the pages that are followed."""
        self._first_state = self._first_state or [self._read(unit) for unit in self._units]
        self._state = [(frames.copy(), entries.copy()) for frames, entries in self._first_state]
        self.pages, self.frames = {}, {}
        numbers = set(followed)
        for position, (frames, _) in enumerate(self._state):
            first = self._first(position)
            for page in numbers.intersection(range(first, first + self._count)):
                self._maps(page, frames[page - first])
        self._find_tables()

    def _find_tables(self) -> None:
        self.tables, self._mapped = set(), {}
        for position, unit in enumerate(self._units):
            steps = self._tables.walk(unit)[-2:]
            self.tables.update(step.slot >> self._shift for step in steps)
            if steps[-1].level is self._last:
                self._mapped[(steps[-1].slot >> WORD_SHIFT) // self._count] = position

    def _read(self, unit: int) -> _State:
        frames = self._tables.frames(unit, self._count)
        entries = np.zeros(self._count, dtype=np.uint64)
        for run in self._tables.runs(unit, unit + (self._count << self._shift)):
            if run.level is self._last:
                first = run.va - unit >> self._shift
                entries[first : first + run.raws.size] = run.raws
        return frames.tolist(), entries.tolist()

    def update(self, words: Iterable[int]) -> list[int]:
        """Read the mapping again after stores to these words of tables; return the pages whose translation has changed.

        A store above the last level may have changed any of them.
        """
        changed: list[int] = []
        for word in words:
            table, index = divmod(word, self._count)
            position = self._mapped.get(table)
            if position is None:
                return changed + self._update_all()
            changed += self._replace(position, index, self._memory.read_entry(word << WORD_SHIFT))
        return changed

    def _replace(self, position: int, index: int, entry: int) -> list[int]:
        """Replace an entry of the last level; return its page if the translation has changed."""
        page = self._first(position) + index
        frame = self._decoded.get((page, entry))
        if frame is None:
            found = self._tables.frame_of(page << self._shift)
            frame = self._decoded[page, entry] = -1 if found is None else found
        frames, entries = self._state[position]
        old = frames[index], entries[index]
        frames[index], entries[index] = frame, entry
        return [self._moved(page, old[0], frame)] if _differ(frame, old[0], entry, old[1]) else []

    def _update_all(self) -> list[int]:
        changed: list[int] = []
        for position, unit in enumerate(self._units):
            (old_frames, old_entries), (frames, entries) = self._state[position], self._read(unit)
            self._state[position] = frames, entries
            pairs = enumerate(zip(frames, old_frames, entries, old_entries, strict=True), self._first(position))
            changed += [self._moved(page, pair[1], pair[0]) for page, pair in pairs if _differ(*pair)]
        self._find_tables()
        return changed

    def _moved(self, page: int, old: int, new: int) -> int:
        """Record the frames of a page whose translation has changed, and return the page."""
        self._maps(page, old)
        self._maps(page, new)
        return page

    def _maps(self, page: int, frame: int) -> None:
        self.pages.setdefault(frame, set()).add(page)
        self.frames.setdefault(page, set()).add(frame)

    def _first(self, position: int) -> int:
        """Return the first page of a range."""
        return self._units[position] >> self._shift


def _differ(frame: int, old_frame: int, entry: int, old_entry: int) -> bool:
    """Return whether translations differ: in their frames, or in two entries of the last level."""
    return frame != old_frame or bool(entry and old_entry and entry != old_entry)
