# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of the struct pages of page tables."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.release.struct_page import FolioField
from hvolab.trace import EntriesStored

_TYPE_BYTES = 4
_TYPE_SHIFT = 24


def _watch_tables(machine: Machine, report: Report) -> Handlers:
    """A page table that a split adds has the page type of page tables and the flag of the kernel's own.

    `pagetable_ctor()` sets the type, and the flag makes freeing it wait for other users of the kernel's tables. Both
    are set before an entry leads to the table. Tables of boot are not checked.
    """
    pages, layout, mode = machine.struct_pages, machine.struct_pages.layout, machine.target.mode
    place = FolioField(0, layout.page_type, _TYPE_BYTES).place(layout.size, machine.target.architecture.byte_order)

    def stored(event: EntriesStored) -> None:
        if not event.live or event.level == mode.last.name:
            return
        table = machine.target.table_frame(event.level, int(event.after[0]))
        if table is None:
            return
        pfns = np.array([table], dtype=np.int64)
        flags, typed = (int(pages.words(pfns, offset)[0]) for offset in (layout.flags, place.offset))
        where = f"PFN {table:#x}, VA {event.va:#x}"
        if not flags >> layout.pt_kernel & 1:
            report("a page table is in use, and has no PG_pt_kernel", where)
        if place.get(typed) >> _TYPE_SHIFT != layout.page_type_table:
            report(f"a page table is in use, and its page type is {place.get(typed):#x}", where)

    return {EntriesStored: stored}


PAGE_TABLES = Invariant(25, "page_tables", history=_watch_tables, applies_to=attrgetter("marks_tables"))
