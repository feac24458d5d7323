# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of order: grace periods, barriers and the flag come before what needs them."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants.faults import skipped_grace_period
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.release.struct_page import FolioField
from hvolab.trace import (
    Barrier,
    Batch,
    EntriesStored,
    FolioStep,
    GracePeriod,
    PageCopied,
    PagesAllocated,
    Stored,
)

_SMP_WMB = "smp_wmb"


class _Graces:
    """Times of grace periods, and of the events after which a folio needs one; time counts these events."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._pages = machine.struct_pages
        self._report = report
        self._last = machine.target.mode.last.name
        layout = machine.struct_pages.layout
        byte_order = machine.target.architecture.byte_order
        self._size, self._place = layout.size, FolioField(0, layout.refcount, 4).place(layout.size, byte_order)
        self._frozen: dict[int, int] = {}  # time at which the references of a struct page became 0, by VA
        self._now = self._grace = self._begun = 0
        self._in_batch = False
        self._fault: str | None = None  # known fault that explains findings in this batch; None: no folio yet
        self._folio: int | None = None
        self._optimizes = False

    def stored(self, event: Stored) -> None:
        """Remember that a struct page was frozen, or that it has references."""
        page, offset = divmod(event.va - self._pages.base, self._size)
        if offset != self._place.offset or event.size != WORD_BYTES or not self._is_head(page):
            return
        word = self._machine.memory.scalar[(event.pa - self._machine.memory.base) // WORD_BYTES]
        if self._place.get(word):
            self._frozen.pop(event.va - offset, None)
        else:
            self._now += 1
            self._frozen.setdefault(event.va - offset, self._now)

    def _is_head(self, page: int) -> bool:
        return 0 <= page < max(last for _, last in self._machine.vmemmap)

    def allocated(self, event: PagesAllocated) -> None:
        """Forget struct pages that are used anew."""
        for pfn in event.pfns.tolist() if self._frozen else ():
            self._frozen.pop(self._pages.va(pfn), None)

    def grace_period(self, _: GracePeriod) -> None:
        self._now += 1
        self._grace = self._now

    def batch(self, event: Batch) -> None:
        self._in_batch, self._fault = event.step.endswith("begin"), None
        self._now += 1
        self._begun = self._now

    def folio(self, event: FolioStep) -> None:
        begins = event.step.endswith("begin")
        self._folio, self._optimizes = event.folio if begins else None, event.step == "optimize.begin"
        if self._optimizes and self._in_batch and self._fault is None:
            self._fault = skipped_grace_period(self._machine, event.folio)
        if begins and not self._in_batch:
            self._now += 1
            self._begun = self._now

    def entries(self, event: EntriesStored) -> None:
        """Require a grace period before the first live entry of a folio changes."""
        if self._folio is None or not event.live or event.level != self._last:
            return
        since = self._frozen.get(self._folio, self._begun) if self._optimizes else self._begun
        if self._grace < since:
            change = "became read-only" if self._optimizes else "were mapped to pages of their own"
            begun = "it was frozen" if self._optimizes else "the operation began"
            tails = f"the tails of folio PFN {self._pages.pfn(self._folio):#x} {change}"
            self._report(f"{tails} with no grace period since {begun}", f"VA {event.va:#x}", fault=self._fault or "")
        self._folio = None


def _watch_graces(machine: Machine, report: Report) -> Handlers:
    """A grace period passes after a folio was frozen and before its tails become read-only, and before a restore.

    A walker of PFNs that has found a tail before the folio was made may still try to raise its references; with the
    tail read-only, that store faults. Kernel: bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN
    walkers"), v6.12. A batch waits once, for all its folios.

    Where the first folio of a list is skipped, the code of v6.12 does not wait for the others: a known fault.
    """
    graces = _Graces(machine, report)
    return {
        Stored: graces.stored,
        PagesAllocated: graces.allocated,
        GracePeriod: graces.grace_period,
        Batch: graces.batch,
        FolioStep: graces.folio,
        EntriesStored: graces.entries,
    }


GRACE_PERIODS = Invariant(16, "grace_periods", history=_watch_graces, applies_to=attrgetter("waits_for_rcu"))


def _watch_barriers(machine: Machine, report: Report) -> Handlers:
    """A write barrier separates the content of a page or page table from the entry that makes it reachable.

    `smp_wmb()` comes after the head page was copied, after a restored tail was filled, and after a page table was
    filled; only then a live entry maps it. Another CPU would see the entry first, and old content behind it. Engines
    of kernels' own code emit no barriers, and are not held to this rule.
    """
    if Barrier in machine.trace.absent:
        return {}
    mode, target, shift = machine.target.mode, machine.target, machine.target.mode.page_shift
    first = machine.page_to_virt(0)
    last = machine.page_to_virt(machine.memory.first_pfn + (machine.memory.size >> shift))
    filled: set[int] = set()  # frames with stores that no barrier follows
    folio = 0

    def copied(event: PageCopied) -> None:
        if first <= event.to_va < last:
            filled.add((event.to_va - first) >> shift)

    def barrier(event: Barrier) -> None:
        if event.kind == _SMP_WMB:
            filled.clear()

    def step(event: FolioStep) -> None:
        nonlocal folio
        folio = event.folio

    def entries(event: EntriesStored) -> None:
        if not event.live:
            filled.add(event.pa >> shift)
            return
        if not filled:
            return
        if event.level == mode.last.name:
            frames = target.page_frames(event.after)
            news = frames[frames != target.page_frames(event.before)]
        elif (table := target.table_frame(event.level, int(event.after[0]))) is not None:
            news = np.array([table], dtype=np.int64)
        else:
            return
        if wrong := sorted(filled.intersection(news.tolist())):
            what = f"PFN {wrong[0]:#x} was filled and mapped with no write barrier between"
            where = f", folio PFN {machine.struct_pages.pfn(folio):#x}" if folio else ""
            report(what, f"VA {event.va:#x}{where}")
            filled.difference_update(wrong)

    return {PageCopied: copied, Barrier: barrier, FolioStep: step, EntriesStored: entries}


BARRIERS = Invariant(17, "barriers", history=_watch_barriers)


def _watch_flags(machine: Machine, report: Report) -> Handlers:
    """A folio has the optimized flag before its head page is copied, and until its tails are restored.

    After the copy, a store to the head could reach the old page through a stale translation, and be lost. While a tail
    has no page of its own, the flag keeps other code from storing to it.
    """
    pages, last = machine.struct_pages, machine.target.mode.last.name
    current: tuple[str, int] | None = None

    def step(event: FolioStep) -> None:
        nonlocal current
        operation, _, when = event.step.partition(".")
        current = (operation, event.folio) if when == "begin" else None

    def need(when: str, operation: str, va: int) -> None:
        nonlocal current
        if (
            current is not None
            and current[0] == operation
            and not pages.optimized(np.array([pages.pfn(current[1])]))[0]
        ):
            folio = f"folio PFN {pages.pfn(current[1]):#x}"
            report(f"{folio} has no optimized flag when {when}", f"VA {va:#x}")
            current = None

    def copied(event: PageCopied) -> None:
        if current is not None and event.from_va == current[1]:
            need("its head page is copied", "optimize", event.from_va)

    def entries(event: EntriesStored) -> None:
        if event.live and event.level == last:
            need("its tails are restored", "restore", event.va)

    return {FolioStep: step, PageCopied: copied, EntriesStored: entries}


FLAG_ORDER = Invariant(18, "flag_order", history=_watch_flags)
