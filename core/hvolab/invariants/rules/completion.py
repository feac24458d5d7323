# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of operations: they end by themselves."""

from __future__ import annotations

from collections import deque

from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import Batch, FolioStep, Stopped

#: Steps before the end that a finding lists.
_STEPS = 3


def _watch_ends(machine: Machine, report: Report) -> Handlers:
    """No operation ends in a fault, a refused frame, a corrupt list, `BUG()` or an exception.

    The finding names the folio, the steps that led there, and the function. The rest of the run is left out: a kernel
    would have stopped. What other rules found before is reported as well.
    """
    steps: deque[str] = deque(maxlen=_STEPS)
    current: int | None = None  # folio that the engine changes now
    last: int | None = None

    def batch(event: Batch) -> None:
        nonlocal current
        current = None
        steps.append(f"batch {event.step}")

    def folio(event: FolioStep) -> None:
        nonlocal current, last
        last, current = event.folio, event.folio if event.step.endswith("begin") else None
        steps.append(f"{event.step} of {_name(machine, event.folio)}" + (f" ({event.result})" if event.result else ""))

    def stopped(event: Stopped) -> None:
        at = next((folio for folio in (event.folio, current, event.call, last) if folio is not None), None)
        place = [] if at is None else [_name(machine, at)]
        after = [f"after {', '.join(steps)}"] if steps else []
        report(event.what, "; ".join([*place, *after, f"in {event.where}"]))

    return {Batch: batch, FolioStep: folio, Stopped: stopped}


def _name(machine: Machine, folio: int) -> str:
    return f"folio PFN {machine.struct_pages.pfn(folio):#x}"


COMPLETION = Invariant(13, "completion", history=_watch_ends)
