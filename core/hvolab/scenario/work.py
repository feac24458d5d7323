# SPDX-License-Identifier: GPL-2.0-only
"""Operations of HVO on memory and TLBs, counted from the trace, and the allocation call that was made to fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hvolab import trace
from hvolab.arch import EntryKind
from hvolab.machine import Machine
from hvolab.machine.frames.failure import FailCalls
from hvolab.release.gfp import describe


@dataclass(frozen=True)
class OperationCounts:
    """Operations during one phase.

    entries_stored         live page-table entries of the last level that were stored
    page_tables_allocated  leaves that were split into a new page table of the last level
    blocks_split           blocks of frames that were split into single ones
    frames_allocated       single frames that were allocated
    frames_freed           single frames that were freed
    pages_copied           pages that were copied
    full_flushes           flushes of everything on every CPU
    range_flushes          flushes of a range on every CPU
    grace_periods          grace periods
    """

    entries_stored: int = 0
    page_tables_allocated: int = 0
    blocks_split: int = 0
    frames_allocated: int = 0
    frames_freed: int = 0
    pages_copied: int = 0
    full_flushes: int = 0
    range_flushes: int = 0
    grace_periods: int = 0


#: Events that are counted one by one, and the field that counts them.
_ONE_EACH: Final[Mapping[type[trace.Event], str]] = {
    trace.PageSplit: "blocks_split",
    trace.PageCopied: "pages_copied",
    trace.AllFlushed: "full_flushes",
    trace.RangeFlushed: "range_flushes",
    trace.GracePeriod: "grace_periods",
}


#: Events without which a loop makes no progress.
_CHANGES: Final = frozenset({trace.EntriesStored, trace.PagesAllocated, trace.PagesFreed, trace.FolioStep})


@dataclass(frozen=True)
class FailedCall:
    """The allocation call that was made to fail.

    number    its number, 1 being the first
    happened  whether that many calls were made
    calls     number of calls
    what      its order and GFP mask; empty if it did not happen
    phase     `fill` or `drain`, or the requested operation; empty if it did not happen
    """

    number: int
    happened: bool
    calls: int
    what: str = ""
    phase: str = ""


class WorkCounter:
    """Listener that counts operations and warnings, and records the allocation call that was made to fail.

    policy    makes the call fail
    phase     name of the operation that is running; the scenario sets it
    warnings  warnings of the engine, with their numbers
    changes   number of events that change page tables, frames or folios
    """

    def __init__(self, machine: Machine, fails: int | None = None) -> None:
        self.phase = ""
        self.warnings: Counter[str] = Counter()
        self.changes = 0
        self.policy = FailCalls(frozenset(() if fails is None else (fails,)))
        self._mode = machine.target.mode
        self._fails = fails
        self._failed: tuple[str, str] | None = None
        self._counts: Counter[str] = Counter()

    def __call__(self, event: trace.Event) -> None:
        """Handle one event."""
        if type(event) in _CHANGES and not (type(event) is trace.EntriesStored and (event.before == event.after).all()):
            self.changes += 1
        if name := _ONE_EACH.get(type(event)):
            self._counts[name] += 1
        elif isinstance(event, trace.EntriesStored) and event.live:
            if event.level == self._mode.last.name:
                self._counts["entries_stored"] += event.after.size
            elif self._mode.format.classify(event.level, int(event.after[0])) is EntryKind.TABLE:
                self._counts["page_tables_allocated"] += 1
        elif isinstance(event, trace.PagesFreed) and not event.order:
            self._counts["frames_freed"] += event.pfns.size
        elif isinstance(event, trace.PagesAllocated):
            self._counts["frames_allocated"] += 0 if event.order else event.pfns.size
            if event.failed and not self._failed and self.policy.calls == self._fails:
                self._failed = f"order {event.order}, {describe(event.gfp)}", self.phase
        elif isinstance(event, trace.Warned):
            self.warnings[event.text] += 1

    def take(self) -> OperationCounts:
        """Return the counts since the last call."""
        counts = OperationCounts(**self._counts)
        self._counts.clear()
        return counts

    def failed(self) -> FailedCall | None:
        """Return the call that was made to fail; None if none was to."""
        if self._fails is None:
            return None
        return FailedCall(self._fails, self._failed is not None, self.policy.calls, *(self._failed or ()))
