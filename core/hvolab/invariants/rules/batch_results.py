# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of operations on lists: they go on, stop and end as the results of their folios explain."""

from __future__ import annotations

import errno

from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import Batch, FolioStep, PagesAllocated, PagesFreed


class _Batches:
    """The batch that runs, and what its folios have ended with."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._report = report
        self._operation = ""  # empty: no batch
        self._restored = 0
        self._error = 0  # result of the folio that could not be restored
        self._waiting = 0  # folios optimized since pages were freed
        self._allocation_failed = False
        self._given_up: int | None = None  # folio that has to be tried again

    def batch(self, event: Batch) -> None:
        """Check that batches do not overlap, and the result at the end."""
        operation, _, when = event.step.partition(".")
        self._retried(None)
        if when == "begin":
            if self._operation:
                self._report(f"a batch begins, and the one before it has not ended: {self._operation}")
            self._restored = self._error = self._waiting = 0
            self._operation = operation
            return
        expected = self._error or self._restored
        if operation == "restore" and event.result is not None and event.result != expected:
            self._report(f"a batch of restores ended with result {event.result}, {expected} is right")
        self._operation = ""

    def step(self, event: FolioStep) -> None:
        """Count what ends; check what begins."""
        if not self._operation:
            return
        operation, _, when = event.step.partition(".")
        if when == "begin":
            self._allocation_failed = False
            self._retried(event.folio)
            if self._error and operation == "restore":
                what = f"a batch restores a folio after one that ended with result {self._error}"
                self._report(what, self._where(event.folio))
        elif operation == "restore":
            self._restored += not event.result
            self._error = self._error or event.result
        elif not event.result:
            self._waiting += 1
        elif event.result == -errno.ENOMEM and self._allocation_failed and self._waiting:
            self._given_up = event.folio

    def allocated(self, event: PagesAllocated) -> None:
        """Remember a failure since the folio began."""
        self._allocation_failed |= event.failed

    def freed(self, event: PagesFreed) -> None:
        """Forget pages that wait to be freed."""
        if not event.order:
            self._waiting = 0

    def _retried(self, folio: int | None) -> None:
        """Report the folio that has to be tried again, unless it is this one, or HVO is off by then."""
        given_up, self._given_up = self._given_up, None
        left_out = given_up != folio and self._machine.optimize_enabled
        if given_up is not None and (left_out or self._waiting):
            what = "a batch goes on without memory for a folio, and has not freed the pages of those before"
            self._report(what, self._where(given_up))

    def _where(self, folio: int) -> str:
        return f"folio PFN {self._machine.struct_pages.pfn(folio):#x}"


def _watch_batches(machine: Machine, report: Report) -> Handlers:
    """An operation on a list ends with the result of its folios, stops where it must, and tries again where it can.

    Restoring a list stops at the first folio that cannot be restored, and returns its error; else the number of folios
    that were restored. Optimizing a list frees the pages of the folios before one that fails for lack of memory, and
    tries that one again. A batch ends before the next begins. Engines of kernels' own code report no result of a batch.
    """
    batches = _Batches(machine, report)
    return {
        Batch: batches.batch,
        FolioStep: batches.step,
        PagesAllocated: batches.allocated,
        PagesFreed: batches.freed,
    }


BATCH_RESULTS = Invariant(24, "batch_results", history=_watch_batches)
