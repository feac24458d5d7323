# SPDX-License-Identifier: GPL-2.0-only
"""Ledgers of single operations: each folio's changes of the key, the counters and the frames balance.

They are histories of the invariants of key, counters and ownership, and name the folio with which a balance breaks.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from hvolab.invariants.faults import is_demoted
from hvolab.invariants.invariant import Handlers, Report
from hvolab.machine import Machine
from hvolab.release.faults import DEMOTED_AS_OPTIMIZED, LOST_HEADS
from hvolab.release.gfp import GFP_VMEMMAP_TAIL
from hvolab.trace import (
    Batch,
    CounterChanged,
    EntriesStored,
    FolioStep,
    KeyChanged,
    PagesAllocated,
    PagesFreed,
)

_PAGES, _BOOT_PAGES = "nr_memmap_pages", "nr_memmap_boot_pages"


def watch_key(machine: Machine, report: Report) -> Handlers:
    """Watch that the key changes by one with each folio that is optimized or restored, and not with others."""
    change = 0

    def key(event: KeyChanged) -> None:
        nonlocal change
        change += event.delta

    def step(event: FolioStep) -> None:
        nonlocal change
        operation, _, when = event.step.partition(".")
        if when == "end":
            done = event.result >= 0 if operation == "optimize" else not event.result
            expected = (1 if operation == "optimize" else -1) * done
            if change != expected:
                what = f"the static key changed by {change} with {operation} of folio PFN"
                report(f"{what} {machine.struct_pages.pfn(event.folio):#x}, {expected} is right")
        change = 0

    return {KeyChanged: key, FolioStep: step}


def watch_counters(machine: Machine, report: Report) -> Handlers:
    """Watch that each counter changes as pages of vmemmap of its kind are allocated and freed."""
    not_vmemmap = {machine.target.release.variant.table_gfp, GFP_VMEMMAP_TAIL}
    others: set[int] = set()  # page tables, and pages that tails share
    balances, reported = Counter[str](), Counter[str]()
    in_batch = active = False

    def counter(event: CounterChanged) -> None:
        balances[event.counter] += event.delta

    def allocated(event: PagesAllocated) -> None:
        if event.gfp in not_vmemmap:
            others.update(event.pfns.tolist())
        elif active and not event.order:
            balances[_PAGES] -= event.pfns.size

    def freed(event: PagesFreed) -> None:
        if active and not event.order:
            count = sum(pfn not in others for pfn in event.pfns.tolist()) if others else event.pfns.size
            balances[_PAGES if event.how == "free_pages" else _BOOT_PAGES] += count
            others.difference_update(event.pfns.tolist())

    def judge(where: str) -> None:
        for name, balance in balances.items():
            if balance != reported[name]:
                report(f"{name} differs by {balance - reported[name]} from the pages of one step", where)
                reported[name] = balance

    def batch(event: Batch) -> None:
        nonlocal in_batch, active
        in_batch = active = event.step.endswith("begin")
        judge(f"batch {event.step}")

    def step(event: FolioStep) -> None:
        nonlocal active
        active = True  # a folio by itself frees pages after its end
        judge(f"{event.step} of folio PFN {machine.struct_pages.pfn(event.folio):#x}")

    return {CounterChanged: counter, PagesAllocated: allocated, PagesFreed: freed, Batch: batch, FolioStep: step}


class _Frames:
    """Frames that a batch takes from mappings or from the allocator, until they are freed or mapped."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._report = report
        self._mode = machine.target.mode
        self._loose: dict[int, int] = {}  # folio by frame; 0: none yet
        self._folio = 0
        self._in_batch = False
        self._failed: set[int] = set()  # folios of the batch that could not be optimized
        self._demoted: set[int] = set()  # folios of the batch that a fault of demotion has given the optimized flag

    def batch(self, event: Batch) -> None:
        """Report at the end the frames that belong to nothing."""
        self._in_batch = event.step.endswith("begin")
        kept = set(self._machine.vmemmap_tails.values())
        if not self._in_batch:  # restored tails leave their head's frame, which stays mapped
            kept.update(self._machine.tables.frame_of(folio) or 0 for folio in set(self._loose.values()) - {0})
        loose = {frame: folio for frame, folio in self._loose.items() if frame not in kept}
        self._loose.clear()
        if loose and not self._in_batch:
            frame, folio = next(iter(loose.items()))
            what = f"{len(loose)} frames belong to nothing after a batch: not mapped, not freed"
            where = f"PFN {frame:#x}, folio PFN {self._machine.struct_pages.pfn(folio or self._folio):#x}"
            self._report(what, where, fault=self._fault_of(loose))
        self._failed.clear()
        self._demoted.clear()

    def _fault_of(self, loose: dict[int, int]) -> str:
        """Return the known fault of the release by which frames of these folios are lost."""
        folios, faults = set(loose.values()), self._machine.target.release.faults
        if LOST_HEADS in faults and folios <= self._failed and len(loose) <= len(self._failed):
            return LOST_HEADS
        return DEMOTED_AS_OPTIMIZED * (folios <= self._demoted)

    def step(self, event: FolioStep) -> None:
        self._folio = event.folio
        if event.step == "optimize.end" and event.result < 0:
            self._failed.add(event.folio)
        elif event.step == "restore.begin" and is_demoted(self._machine, event.folio):
            self._demoted.add(event.folio)

    def allocated(self, event: PagesAllocated) -> None:
        if self._in_batch and not event.order:
            self._loose.update(dict.fromkeys(event.pfns.tolist(), self._folio))

    def freed(self, event: PagesFreed) -> None:
        if self._machine.vmemmap_tails:  # pages of their zone, for ever
            for pfn in set(self._machine.vmemmap_tails.values()).intersection(event.pfns.tolist()):
                where = f"after folio PFN {self._machine.struct_pages.pfn(self._folio):#x}" if self._folio else ""
                self._report(f"PFN {pfn:#x} is shared by the tails of a zone, and was freed", where)
        if self._loose and not event.order:
            for pfn in event.pfns.tolist():
                self._loose.pop(pfn, None)

    def entries(self, event: EntriesStored) -> None:
        """Move frames between mapped and loose."""
        if not self._in_batch or not event.live:
            return
        if event.level != self._mode.last.name:
            if (table := self._machine.target.table_frame(event.level, int(event.after[0]))) is not None:
                self._loose.pop(table, None)
            return
        before, after = (self._machine.target.page_frames(raws) for raws in (event.before, event.after))
        valid = self._mode.format.is_valid(event.level, event.before)
        gone = before[valid & (before != after)]
        self._loose.update(dict.fromkeys(gone.tolist(), self._folio))
        for pfn in np.unique(after).tolist():
            self._loose.pop(pfn, None)


def watch_frames(machine: Machine, report: Report) -> Handlers:
    """Watch that no frame is lost in a batch."""
    frames = _Frames(machine, report)
    return {
        Batch: frames.batch,
        FolioStep: frames.step,
        PagesAllocated: frames.allocated,
        PagesFreed: frames.freed,
        EntriesStored: frames.entries,
    }
