"""A batch takes at most one grace period and a constant number of full flushes.

Optimizing takes two full flushes, one after all splits and one after all remapping, and restoring one; each retry after
`-ENOMEM` may take one more.
"""

from __future__ import annotations

from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import AllFlushed, Batch, FolioStep, GracePeriod

#: Full flushes that a batch may take, retries aside.
_FLUSHES = {"optimize": 2, "restore": 1}


def _history(_: Machine, report: Report) -> Handlers:
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


INVARIANT = Invariant(11, "flushes", __doc__, history=_history)
