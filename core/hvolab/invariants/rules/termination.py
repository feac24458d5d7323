"""Every loop ends, also with an allocator that always fails.

`update_and_free_pages_bulk()` tries again as long as a batch fails. Each time it must have restored, freed or added a
folio. A monitor counts batches without progress and stops the loop with `EndlessLoopError` after 64 of them.
"""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import Batch, FolioStep

#: Batches that may follow each other without a folio restored, freed or added.
_MAX_BATCHES = 64


class EndlessLoopError(HvolabError):
    """A loop makes no progress, and the monitor stops it.

    This is a finding about the modeled kernel code: the caller of HVO must shrink its list each time.
    """

    is_finding = True


def _history(_: Machine, report: Report) -> Handlers:
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


INVARIANT = Invariant(10, "termination", __doc__, history=_history)
