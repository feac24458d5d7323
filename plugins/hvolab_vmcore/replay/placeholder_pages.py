# SPDX-License-Identifier: GPL-2.0-only
"""Placeholders for struct pages that a core does not hold.

A kernel's own code reads and writes struct pages that hvolab's engine does not use. Their placeholders are added before
it runs, and removed before the result is scanned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hvolab.arch import EntryKind, PgprotRole
from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.replay.machine import CoreMachine
from hvolab_vmcore.replay.plan import Folio, ReplayPlan, prepare_folio
from hvolab_vmcore.scan.scan import Scan


def add_placeholder_heads(core: CoreMachine, start: Scan, plan: ReplayPlan) -> frozenset[Folio]:
    """Add an empty head page to each folio of the plan whose head page is not in the core; return those folios."""
    machine = core.machine
    memory, pages, layout = machine.memory, machine.struct_pages, machine.struct_pages.layout
    added = set()
    for pfn, order in plan.folios:
        number = np.array([pfn * layout.size >> memory.page_shift], dtype=np.int64)
        if _add(memory, int(start.pages.frames_of(number)[0])):
            prepare_folio(machine, pfn, order)
            flags = 1 << layout.hpg_vmemmap_optimized if (pfn, order) in plan.restored else 0
            pages.set_words(np.array([pfn]), layout.private, flags)
            added.add((pfn, order))
    return frozenset(added)


@contextmanager
def placeholder_struct_pages(core: CoreMachine, start: Scan, plan: ReplayPlan) -> Iterator[None]:
    """Context in which frames that back the vmemmap, and new frames, have struct pages.

    Those of frames that back the vmemmap have the flags that :class:`CoreRecords` assumes; those of new frames are
    empty.
    """
    pages, layout, records = core.machine.struct_pages, core.machine.struct_pages.layout, core.records
    placeholders, backing = _Placeholders(core), _backing_frames(start, plan)
    unknown = backing[~records.known(backing)]
    reserved = unknown[records.reserved(unknown)] if unknown.size else unknown
    placeholders.provide(backing)
    if reserved.size:
        pages.set_words(reserved, layout.flags, 1 << layout.pg_reserved)
        if core.machine.target.traits.bootmem_info:
            pages.set_words(reserved, layout.index, layout.bootmem_types[0])
    records.provide = placeholders.provide
    try:
        yield
    finally:
        records.provide = None
        placeholders.remove()


class _Placeholders:
    """Placeholders that were added to a machine."""

    def __init__(self, core: CoreMachine) -> None:
        self._core = core
        self._machine = core.machine
        #: Slots of tables that were changed, with the entries before.
        self._slots: list[tuple[int, int]] = []
        #: Frames that were added to memory.
        self._added: list[int] = []

    def remove(self) -> None:
        """Remove all placeholders."""
        memory = self._machine.memory
        for slot, raw in reversed(self._slots):
            memory.write_entry(slot, raw)
        memory.discard(np.array(self._added, dtype=np.int64))

    def provide(self, pfns: Ints) -> None:
        """Add the pages that hold the struct pages of these frames; pages that are absent become empty ones."""
        machine = self._machine
        size, shift = machine.struct_pages.layout.size, machine.target.mode.page_shift
        for offset in np.unique((pfns - machine.struct_pages.first_pfn) * size >> shift).tolist():
            self._provide_page(machine.struct_pages.base + (offset << shift))

    def _provide_page(self, va: int) -> None:
        """Map the page at ``va`` if nothing is mapped there, and make its frame present."""
        machine, memory = self._machine, self._machine.memory
        step = machine.tables.find(va)
        if step.kind is EntryKind.NONE:
            self._slots.append((step.slot, step.raw))
            new_frames = self._core.new_frames
            pfn = new_frames.allocate(0, 0, 0)
            memory.zero(pfn, 1)
            machine.tables.map_leaf(va, pfn, machine.target.mode.last.name, PgprotRole.KERNEL, new_frames.table)
            return
        frame = machine.tables.frame_of(va)
        if frame is not None and _add(memory, frame):
            memory.zero(frame, 1)
            self._added.append(frame)


def _add(memory: PhysicalMemory, frame: int) -> bool:
    """Add a frame to memory; return False, with nothing changed, if it is held already, or is outside of memory."""
    if not 0 <= frame - memory.first_pfn < memory.frames or memory.holds(frame << memory.page_shift):
        return False
    memory.add(frame, 1)
    return True


def _backing_frames(start: Scan, plan: ReplayPlan) -> Ints:
    """Return the frames that back the vmemmap of the plan's folios, and all else that the same leaves map, before."""
    mode, size = start.snapshot.target.mode, start.snapshot.struct_pages.layout.size
    unit = mode.levels[-2].size
    frames: list[Ints] = [np.empty(0, dtype=np.int64)]
    for pfn, order in plan.folios:
        first = start.snapshot.struct_pages.va(pfn)
        last = first + (size << order)
        for va in range(first & -unit, last, unit):
            numbers = (va - start.pages.base >> mode.page_shift) + np.arange(unit >> mode.page_shift, dtype=np.int64)
            frames.append(start.pages.frames_of(numbers))
    backing = np.unique(np.concatenate(frames))
    return backing[backing >= 0]
