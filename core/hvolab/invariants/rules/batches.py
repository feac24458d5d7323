# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of batches: they end, and flush a bounded number of times."""

from __future__ import annotations

from collections import Counter

from hvolab.errors import HvolabError
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import AllFlushed, Batch, Event, FolioStep, GracePeriod

#: Full flushes that a batch may take, retries aside.
_FLUSHES = {"optimize": 2, "restore": 1}
#: Batches that may follow each other without a folio restored, freed or added.
_MAX_BATCHES = 64


class EndlessLoopError(HvolabError):
    """A loop makes no progress, and the monitor stops it.

    This is a finding about the modeled kernel code: the caller of HVO must shrink its list each time.
    """

    is_finding = True


def _watch_progress(_: Machine, report: Report) -> Handlers:
    """Every loop ends, also with an allocator that always fails.

    `update_and_free_pages_bulk()` tries again as long as a batch fails. Each time it must have restored, freed or
    added a folio. A monitor counts batches without progress and stops the loop with `EndlessLoopError` after 64 of
    them.
    """
    idle = 0

    def batch(event: Batch) -> None:
        nonlocal idle
        idle += event.step.endswith("begin")
        if idle > _MAX_BATCHES:
            what = f"{idle} batches without progress"
            report(what)
            raise EndlessLoopError(what, hint="the loop that calls HVO must shrink its list each time")

    def folio(event: FolioStep) -> None:
        nonlocal idle
        if event.step == "optimize.end" or (event.step == "restore.end" and not event.result):
            idle = 0

    return {Batch: batch, FolioStep: folio}


TERMINATION = Invariant(10, "termination", history=_watch_progress)


def _watch_flushes(_: Machine, report: Report) -> Handlers:
    """A batch takes at most one grace period and a constant number of full flushes.

    Optimizing takes two full flushes, one after all splits and one after all remapping, and restoring one; each retry
    after `-ENOMEM` may take one more.
    """
    counts: Counter[type[Event]] = Counter()  # flushes, grace periods, and folios that may be tried again

    def batch(event: Batch) -> None:
        operation, _, when = event.step.partition(".")
        allowed = _FLUSHES[operation] + counts[FolioStep]
        if when == "end" and counts[GracePeriod] > 1:
            report(f"{counts[GracePeriod]} grace periods in one batch")
        if when == "end" and counts[AllFlushed] > allowed:
            report(f"{counts[AllFlushed]} full flushes in one batch, {allowed} are allowed")
        counts.clear()

    def count(event: Event) -> None:
        counts[type(event)] += 1

    def folio(event: FolioStep) -> None:
        if event.step == "optimize.end" and event.result:
            count(event)

    return {Batch: batch, FolioStep: folio, AllFlushed: count, GracePeriod: count}


FLUSHES = Invariant(11, "flushes", history=_watch_flushes)
