"""Invariants of batches: they end, and flush a bounded number of times."""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import AllFlushed, Batch, FolioStep, GracePeriod

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
    periods = flushes = retries = 0

    def batch(event: Batch) -> None:
        nonlocal periods, flushes, retries
        operation, _, when = event.step.partition(".")
        if when == "begin":
            periods = flushes = retries = 0
            return
        allowed = _FLUSHES[operation] + retries
        if periods > 1:
            report(f"{periods} grace periods in one batch")
        if flushes > allowed:
            report(f"{flushes} full flushes in one batch, {allowed} are allowed")

    def folio(event: FolioStep) -> None:
        nonlocal retries
        retries += event.step == "optimize.end" and event.result != 0

    def flushed(_: AllFlushed) -> None:
        nonlocal flushes
        flushes += 1

    def waited(_: GracePeriod) -> None:
        nonlocal periods
        periods += 1

    return {Batch: batch, FolioStep: folio, AllFlushed: flushed, GracePeriod: waited}


FLUSHES = Invariant(11, "flushes", history=_watch_flushes)
