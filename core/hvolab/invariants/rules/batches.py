# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of batches: they end, and flush a bounded number of times."""

from __future__ import annotations

from collections import Counter

from hvolab.arch import EntryUpdateRule
from hvolab.errors import HvolabError
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import AllFlushed, Batch, Event, FolioStep, GracePeriod, PagesAllocated, RangeFlushed

#: Full flushes that a batch may take, retries aside.
_FLUSHES = {"optimize": 2, "restore": 1}
#: Batches that may follow each other without a folio restored, freed or added.
_MAX_BATCHES = 64


class EndlessLoopError(HvolabError):
    """A loop makes no progress, and the monitor stops it.

    This is a finding about the modeled kernel code: the caller of HVO must shrink its list each time.
    """

    is_finding = True


def _watch_progress(machine: Machine, report: Report) -> Handlers:
    """Every loop ends, also with an allocator that always fails.

    `update_and_free_pages_bulk()` tries again as long as a batch fails. Each time it must have restored, freed or
    added a folio. A monitor counts batches without progress, restores of the same folio outside of batches, and failing
    optimizations of a folio, and stops the loop with `EndlessLoopError` after 64 of them.
    """
    idle: Counter[int | None] = Counter()  # of each folio by its VA, of batches by None
    in_batch = False

    def tried(key: int | None, what: str) -> None:
        idle[key] += 1
        if idle[key] > _MAX_BATCHES:
            what = f"{idle[key]} {what} without progress"
            report(what, "" if key is None else f"folio PFN {machine.struct_pages.pfn(key):#x}")
            raise EndlessLoopError(what, hint="the loop that calls HVO must shrink its list each time")

    def batch(event: Batch) -> None:
        nonlocal in_batch
        in_batch = event.step.endswith("begin")
        if in_batch:
            tried(None, "batches")

    def folio(event: FolioStep) -> None:
        if event.step == "optimize.end" and event.result < 0:
            tried(event.folio, "failing optimizations of a folio")
            del idle[None]
        elif event.step == "optimize.end" or (event.step == "restore.end" and not event.result):
            idle.clear()
        elif event.step == "restore.begin" and not in_batch:
            tried(event.folio, "restores of a folio")

    return {Batch: batch, FolioStep: folio}


TERMINATION = Invariant(10, "termination", history=_watch_progress)


def _watch_flushes(machine: Machine, report: Report) -> Handlers:
    """A batch takes at most one grace period and a constant number of full flushes, a folio by itself no full flush.

    Optimizing a batch takes two full flushes, one after all splits and one after all remapping, and restoring one; each
    retry after `-ENOMEM` may take one more. All PMDs are split before the first folio is remapped, so that a batch
    flushes no range unless an allocation has failed, or HVO was off when it began. A folio outside of batches flushes
    ranges, each attempt to replace a lost entry its page. Where the release does not wait for grace periods, there is
    none, and nowhere is there one unless a folio changes (c2a967f6ab0e, v6.11).
    """
    grace_periods = int(machine.target.release.variant.waits_for_rcu)
    can_lose = machine.target.traits.entry_update is not EntryUpdateRule.STORE
    counts: Counter[type[Event]] = Counter()  # flushes, grace periods, and folios that may be tried again
    in_batch = in_folio = failed = False
    was_on = True  # when the batch began

    def check(operation: str, flushes: int) -> None:
        if counts[GracePeriod] > grace_periods:
            report(f"grace periods in {operation}: {counts[GracePeriod]}, at most {grace_periods} allowed")
        if counts[AllFlushed] > flushes:
            report(f"full flushes in {operation}: {counts[AllFlushed]}, at most {flushes} allowed")

    def batch(event: Batch) -> None:
        nonlocal in_batch, failed, was_on
        operation, _, when = event.step.partition(".")
        in_batch = when == "begin"
        if not in_batch:
            check("one batch", _FLUSHES[operation] + counts[FolioStep])
            if (ranges := counts[RangeFlushed]) and was_on and not (failed or can_lose):
                report(f"flushes of ranges in one batch: {ranges}, although no allocation has failed in it")
        failed, was_on = False, machine.optimize_enabled
        counts.clear()

    def count(event: Event) -> None:
        counts[type(event)] += 1
        if isinstance(event, GracePeriod) and not in_folio:
            report("a grace period was waited for, and no folio is being optimized or restored")

    def folio(event: FolioStep) -> None:
        nonlocal in_folio
        in_folio = event.step.endswith("begin")
        if in_batch:
            if event.step == "optimize.end" and event.result:
                count(event)
            return
        if event.step.endswith("end"):
            check("one folio", 0)
        counts.clear()

    def allocated(event: PagesAllocated) -> None:
        nonlocal failed
        failed |= event.failed

    return {
        Batch: batch,
        FolioStep: folio,
        AllFlushed: count,
        GracePeriod: count,
        RangeFlushed: count,
        PagesAllocated: allocated,
    }


FLUSHES = Invariant(11, "flushes", history=_watch_flushes)
