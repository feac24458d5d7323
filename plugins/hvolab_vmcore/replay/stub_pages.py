"""Struct pages that a core does not hold, for who reads and writes them: a kernel's own code does, the engine does not.

They are there while HVO's work is done again, and taken away before what was left is looked at.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, PgprotRole
from hvolab_vmcore.replay.machine import CoreMachine
from hvolab_vmcore.replay.plan import Plan
from hvolab_vmcore.scan.scan import Scan

Pfns = npt.NDArray[np.int64]


class StubStructPages:
    """Puts struct pages where a machine made from a core has none: of frames behind the vmemmap, and of new ones.

    Those behind the vmemmap say what the replay takes for granted of them; those of new frames are empty.
    """

    def __init__(self, core: CoreMachine, start: Scan, plan: Plan) -> None:
        self._core = core
        self._machine = core.machine
        self._behind = _behind(start, plan)
        #: Slots of tables that were changed, with what was there before.
        self._slots: list[tuple[int, int]] = []
        #: Frames that are no part of the core, counted from the first of memory.
        self._added: list[int] = []

    def __enter__(self) -> Self:
        machine, records = self._machine, self._core.records
        unknown = self._behind[~records.known(self._behind)]
        reserved = unknown[records.reserved(unknown)] if unknown.size else unknown
        self.provide(self._behind)
        layout, pages = machine.struct_pages.layout, machine.struct_pages
        if reserved.size:
            pages.set_words(reserved, layout.flags, 1 << layout.pg_reserved)
            if machine.target.traits.bootmem_info:
                pages.set_words(reserved, layout.index, layout.bootmem_types[0])
        records.provide = self.provide
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        memory = self._machine.memory
        self._core.records.provide = None
        for slot, raw in reversed(self._slots):
            memory.write_word(slot, raw)
        if memory.present is not None:
            memory.present[self._added] = False

    def provide(self, pfns: Pfns) -> None:
        """Make the pages that hold the struct pages of these frames be there, empty where they were not."""
        machine = self._machine
        size, shift = machine.struct_pages.layout.size, machine.target.mode.page_shift
        for offset in np.unique((pfns - machine.struct_pages.first_pfn) * size >> shift).tolist():
            self._provide_page(machine.struct_pages.base + (offset << shift))

    def _provide_page(self, va: int) -> None:
        machine, memory = self._machine, self._machine.memory
        step = machine.tables.find(va)
        if step.kind is EntryKind.NONE:
            self._slots.append((step.slot, step.raw))
            new = self._core.new
            pfn = new.allocate(0, 0, 0)
            memory.zero(pfn, 1)
            machine.tables.map_leaf(va, pfn, machine.target.mode.last.name, PgprotRole.KERNEL, new.table)
            return
        frame = machine.tables.frame_of(va)
        index = -1 if frame is None else frame - memory.first_pfn
        if memory.present is not None and 0 <= index < memory.frames and not memory.present[index]:
            memory.present[index] = True
            memory.pages[index] = 0
            self._added.append(index)


def _behind(start: Scan, plan: Plan) -> Pfns:
    """The frames behind the vmemmap of the plan's folios, and those of the leaves that map it, before."""
    mode, size = start.snapshot.target.mode, start.snapshot.struct_pages.layout.size
    unit = mode.levels[-2].size
    frames: list[Pfns] = [np.empty(0, dtype=np.int64)]
    for pfn, order in (*plan.restored, *plan.optimized):
        first = start.snapshot.struct_pages.va(pfn)
        last = first + (size << order)
        for va in range(first & -unit, last, unit):
            numbers = (va - start.pages.base >> mode.page_shift) + np.arange(unit >> mode.page_shift, dtype=np.int64)
            frames.append(start.pages.frames_of(numbers))
    found = np.unique(np.concatenate(frames))
    return found[found >= 0]
