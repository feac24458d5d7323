"""Operations of HVO on memory and TLBs, counted from the trace, and the allocation call that was made to fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hvolab.arch import EntryKind
from hvolab.machine import Machine
from hvolab.machine.frames.failure import FailurePolicy
from hvolab.machine.frames.gfp import describe
from hvolab.trace import (
    AllFlushed,
    EntriesStored,
    Event,
    GracePeriod,
    PageCopied,
    PagesAllocated,
    PagesFreed,
    PageSplit,
    RangeFlushed,
    Warned,
)


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
_ONE_EACH: Final[Mapping[type[Event], str]] = {
    PageSplit: "blocks_split",
    PageCopied: "pages_copied",
    AllFlushed: "full_flushes",
    RangeFlushed: "range_flushes",
    GracePeriod: "grace_periods",
}


class WorkCounter:
    """Listener that counts operations."""

    def __init__(self, machine: Machine) -> None:
        self._target = machine.target
        self._counted: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        """Handle one event."""
        if name := _ONE_EACH.get(type(event)):
            self._counted[name] += 1
        elif isinstance(event, EntriesStored):
            self._entries(event)
        elif isinstance(event, PagesAllocated | PagesFreed) and not event.order:
            self._counted["frames_freed" if isinstance(event, PagesFreed) else "frames_allocated"] += event.pfns.size

    def _entries(self, event: EntriesStored) -> None:
        """Count live entries: those of the last level, and above it those that point to a new table."""
        if not event.live:
            return
        if event.level == self._target.mode.last.name:
            self._counted["entries_stored"] += event.after.size
        elif self._target.mode.format.classify(event.level, int(event.after[0])) is EntryKind.TABLE:
            self._counted["page_tables_allocated"] += 1

    def take(self) -> OperationCounts:
        """Return the counts since the last call."""
        work = OperationCounts(**self._counted)
        self._counted.clear()
        return work


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


class FailureWatch:
    """Listener that records the call that was made to fail.

    phase  name of the operation that is running; the scenario sets it
    """

    def __init__(self, number: int, policy: FailurePolicy) -> None:
        self.phase = ""
        self._number = number
        self._policy = policy
        self._what = ""
        self._when = ""

    def __call__(self, event: Event) -> None:
        """Handle one event."""
        if isinstance(event, PagesAllocated) and event.failed and self._policy.calls == self._number and not self._what:
            self._what = f"order {event.order}, {describe(event.gfp)}"
            self._when = self.phase

    def seen(self) -> FailedCall:
        """Return the call."""
        return FailedCall(self._number, bool(self._what), self._policy.calls, self._what, self._when)


class WarningNotes:
    """Listener that records warnings of the engine."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        """Handle one event."""
        if isinstance(event, Warned):
            self._counted[event.text] += 1

    def texts(self) -> tuple[str, ...]:
        """Return the warnings, each once, in the order of their first occurrence."""
        return tuple(f"{text} ({count} times)" if count > 1 else text for text, count in self._counted.items())
