"""Each PMD is split once, into a page table of its own; its buddy block is split once, reserved memory never.

No two split PMDs share a page table. The block that the leaf mapped has become single frames by one
`split_page()`, unless it is reserved memory of boot: for that `split_page()` is never called.
"""

from __future__ import annotations

import numpy as np

from hvolab.arch import EntryKind
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.invariants.survey import Survey
from hvolab.machine import FrameAllocator, Machine
from hvolab.trace import EntriesStored, PageSplit

#: Findings of one kind that are reported one by one.
_LISTED = 8


def _state(survey: Survey, report: Report) -> None:
    tables, counts = np.unique(survey.tables, return_counts=True)
    for pfn in tables[counts > 1][:_LISTED].tolist():
        vas = survey.split_vas[survey.tables == pfn][:2].tolist()
        report(f"PFN {pfn:#x} is the table of two PMDs", " and ".join(f"VA {va:#x}" for va in vas))
    frames, mode = survey.machine.frames, survey.machine.target.mode
    if not isinstance(frames, FrameAllocator):
        return
    order = mode.levels[-2].shift - mode.page_shift
    by_page = survey.raws != 0
    heads = np.unique(survey.frames[by_page & (survey.frames % (1 << order) == 0) & (survey.frames >= 0)])
    for pfn in heads.tolist():
        if frames.order_of(pfn) == order:
            page = int(np.flatnonzero(by_page & (survey.frames == pfn))[0])
            what = f"the PMD was split, but the block of order {order} at PFN {pfn:#x} was not"
            report(what, survey.where(page))


def _history(machine: Machine, report: Report) -> Handlers:
    mode = machine.target.mode
    split_vas: set[int] = set()
    split_blocks: set[int] = set()

    def stored(event: EntriesStored) -> None:
        if not event.live or event.level == mode.last.name:
            return
        if mode.format.classify(event.level, int(event.after[0])) is EntryKind.TABLE:
            if event.va in split_vas:
                report("a PMD was split twice", f"VA {event.va:#x}")
            split_vas.add(event.va)

    def block_split(event: PageSplit) -> None:
        if event.pfn in split_blocks:
            report(f"split_page() was called twice for the block at PFN {event.pfn:#x}")
        split_blocks.add(event.pfn)
        if machine.records.reserved(np.array([event.pfn], dtype=np.int64))[0]:
            report(f"split_page() was called for the reserved frame at PFN {event.pfn:#x}")

    return {EntriesStored: stored, PageSplit: block_split}


INVARIANT = Invariant(8, "splits", __doc__, state=_state, history=_history)
