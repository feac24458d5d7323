# SPDX-License-Identifier: GPL-2.0-only
"""Oracles that look at single steps: accesses to free frames and of poison, and entries that map page tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants import survey
from hvolab.machine import Machine
from hvolab.machine.cpus.observed import Translated
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.machine import POISON, ExploredMachine

#: Word of a poisoned frame.
POISONED_WORD = int.from_bytes(bytes([POISON]) * WORD_BYTES, "little")
#: Runs of entries whose frames are remembered.
_REMEMBERED = 256
#: Returns the name of a VA.
Name = Callable[[int], str]


class FreeFrames:
    """Reports an access to a frame that is free, through the vmemmap or the direct map."""

    def __init__(self, machine: ExploredMachine, scheduler: Scheduler, name: Name) -> None:
        self._machine = machine
        self._scheduler = scheduler
        self._name = name
        self._page_shift = machine.target.mode.page_shift
        self._is_free = machine.allocator.is_free

    def __call__(self, translated: Translated) -> None:
        """Check one translation of an access."""
        pa, va, machine = translated.pa, translated.va, self._machine
        if not pa or not self._is_free(pa >> self._page_shift) or not self._scheduler.active:
            return
        what = "stores to" if translated.stores else "reads"
        if va == machine.virt(pa):
            how = "the direct map"
        elif machine.tables.frame_of(va) == pa >> self._page_shift:
            how = "its entry"
        else:
            how = "a stale translation"
        actor = self._scheduler.current
        self._scheduler.report(f"{actor.name if actor else ''} {what} a free frame at {self._name(va)}: {how}")


class Unwritten:
    """Reports a load of a word of an allocated frame that is not written yet, where frames are poisoned."""

    def __init__(self, machine: ExploredMachine, scheduler: Scheduler, name: Name) -> None:
        self._memory = machine.memory
        self._scheduler = scheduler
        self._name = name
        self._page_shift = machine.target.mode.page_shift
        self._is_free = machine.allocator.is_free

    def __call__(self, translated: Translated) -> None:
        """Check one translation of an access."""
        pa = translated.pa & -WORD_BYTES
        if not pa or translated.stores or not self._scheduler.active or self._memory.read_word(pa) != POISONED_WORD:
            return
        if not self._is_free(pa >> self._page_shift):
            actor = self._scheduler.current
            self._scheduler.report(
                f"{actor.name if actor else ''} loads what is not written yet at {self._name(translated.va)}"
            )


class PageTableCheck:
    """Reports an entry of the last level that maps a page table.

    Kernel: __page_table_check_ptes_set() in mm/page_table_check.c, which crashes then.
    """

    def __init__(self, machine: Machine, scheduler: Scheduler, name: Name) -> None:
        self._scheduler = scheduler
        self._name = name
        self._first_va, self._shift = machine.virt(0), machine.target.mode.page_shift
        self._middle = machine.target.mode.levels[-2].name
        self._target, self._get_address = machine.target, machine.target.page_form.get_address
        self._first = frozenset(survey(machine).tables.tolist())
        self._mapped: dict[bytes, frozenset[int]] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a schedule."""
        self._tables = set(self._first)

    def __call__(self, slot_va: int, raw: int) -> None:
        """Check an entry that is stored to the slot at a VA of a page table."""
        if slot_va - self._first_va >> self._shift in self._tables:
            if (frame := self._get_address(raw) >> self._shift) in self._tables:
                self._report(frame, slot_va)
        elif (table := self._target.table_frame(self._middle, raw)) is not None:
            self._tables.add(table)

    def filled(self, table_va: int, raws: npt.NDArray[np.uint64]) -> None:
        """Check the entries of a new table at a VA."""
        if wrong := self._tables & self._frames_of(raws):
            self._report(min(wrong), table_va)

    def _report(self, frame: int, slot_va: int) -> None:
        self._scheduler.report(f"an entry maps PFN {frame:#x}, a page table, at {self._name(slot_va)}")

    def _frames_of(self, raws: npt.NDArray[np.uint64]) -> frozenset[int]:
        """Return the PFNs that entries map; those of a new table are the same in most schedules."""
        key = raws.tobytes()
        found = self._mapped.get(key)
        if found is None:
            if len(self._mapped) >= _REMEMBERED:
                self._mapped.clear()
            found = self._mapped[key] = frozenset(self._target.page_frames(raws).tolist())
        return found
