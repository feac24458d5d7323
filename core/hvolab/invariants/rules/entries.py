# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of page-table updates: splits, and the replacement of live entries."""

from __future__ import annotations

import numpy as np

from hvolab.arch import EntryKind, EntryUpdateRule, LiveEntryRule
from hvolab.invariants.invariant import LISTED, Handlers, Invariant, Report
from hvolab.invariants.survey import Survey
from hvolab.machine import FrameAllocator, Machine
from hvolab.trace import EntriesStored, PageSplit


def _check_splits(survey: Survey, report: Report) -> None:
    """Each PMD is split once, into a page table of its own; its buddy block is split once, reserved memory never.

    No two split PMDs share a page table. The block that the leaf mapped has become single frames by one
    `split_page()`, unless it is reserved memory of boot: for that `split_page()` is never called.
    """
    tables, counts = np.unique(survey.tables, return_counts=True)
    for pfn in tables[counts > 1][:LISTED].tolist():
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


def _watch_splits(machine: Machine, report: Report) -> Handlers:
    mode = machine.target.mode
    split_vas: set[int] = set()
    split_blocks: set[int] = set()

    def stored(event: EntriesStored) -> None:
        above = event.live and event.level != mode.last.name
        if above and mode.format.classify(event.level, int(event.after[0])) is EntryKind.TABLE:
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


SPLITS = Invariant(8, "splits", state=_check_splits, history=_watch_splits)


def _watch_live_entries(machine: Machine, report: Report) -> Handlers:
    """Live entries are replaced only as the architecture's rule allows.

    Where an architecture allows a live entry to be replaced only after it was made invalid and flushed, or only by its
    own instructions, no valid entry is replaced by a valid one that maps another frame. A leaf may become a table that
    maps the same where the description says so, and an entry whose accessed flag is clear may be replaced where the
    description says that no TLB holds it. It is a declared finding, as the rule is part of the description, unless
    that has another update of entries than a plain store.
    """
    target = machine.target
    entries, traits, describe = target.mode.format, target.traits, target.describe

    def stored(event: EntriesStored) -> None:
        """Report a replacement of a valid entry by a valid one that maps another frame."""
        level, before, after = event.level, event.before, event.after
        is_table = entries.classify(level, int(after[0])) is EntryKind.TABLE
        if not event.live or (traits.live_size_change and is_table):
            return
        form = entries.form(level, EntryKind.LEAF)
        wrong = entries.is_valid(level, before) & entries.is_valid(level, after)
        wrong &= form.get_address(before) != form.get_address(after)
        if traits.uncached_without_accessed and target.mmu.accessed is not None:
            wrong &= target.mmu.accessed.accepts(before)
        if np.any(wrong):
            first = int(np.flatnonzero(wrong)[0])
            report(
                f"a live entry was replaced by a plain store: {traits.live_entries.value}",
                f"VA {event.va + first * target.mode.page_size:#x}, "
                f"{describe(level, int(before[first]))} -> {describe(level, int(after[first]))}",
                declared=traits.entry_update is EntryUpdateRule.STORE,
            )

    return {} if traits.live_entries is LiveEntryRule.FREE else {EntriesStored: stored}


LIVE_ENTRIES = Invariant(12, "live_entries", history=_watch_live_entries)
