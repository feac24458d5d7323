"""What HVO did to memory and translation, counted from the trace, and the allocation that was made to fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

from hvolab.arch import EntryKind
from hvolab.machine import Machine
from hvolab.machine.failure import FailurePolicy
from hvolab.machine.gfp import describe
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
)


@dataclass(frozen=True)
class Work:
    """What was done in one phase.

    entries_stored    page-table entries of the last level stored where a walk finds them
    tables_made       entries that came to point to a new table of the last level: leaves that were split
    blocks_split      blocks of frames that were split into single ones
    frames_allocated  single frames that were allocated
    frames_freed      single frames that were freed
    pages_copied      pages that were copied
    full_flushes      flushes of everything on every CPU
    range_flushes     flushes of a range on every CPU
    grace_periods     grace periods waited for
    """

    entries_stored: int = 0
    tables_made: int = 0
    blocks_split: int = 0
    frames_allocated: int = 0
    frames_freed: int = 0
    pages_copied: int = 0
    full_flushes: int = 0
    range_flushes: int = 0
    grace_periods: int = 0

    def as_dict(self) -> dict[str, int]:
        """The work for JSON."""
        return asdict(self)


class WorkCounter:
    """A listener that counts work."""

    def __init__(self, machine: Machine) -> None:
        self._target = machine.target
        self._counted: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        match event:
            case EntriesStored(level=level, after=after, live=True):
                if level == self._target.mode.last.name:
                    self._counted["entries_stored"] += after.size
                elif self._target.mode.format.classify(level, int(after[0])) is EntryKind.TABLE:
                    self._counted["tables_made"] += 1
            case PageSplit():
                self._counted["blocks_split"] += 1
            case PagesAllocated(order=0, pfns=pfns):
                self._counted["frames_allocated"] += pfns.size
            case PagesFreed(pfns=pfns, order=0):
                self._counted["frames_freed"] += pfns.size
            case PageCopied():
                self._counted["pages_copied"] += 1
            case AllFlushed():
                self._counted["full_flushes"] += 1
            case RangeFlushed():
                self._counted["range_flushes"] += 1
            case GracePeriod():
                self._counted["grace_periods"] += 1

    def taken(self) -> Work:
        """What was counted since the last time."""
        work = Work(**self._counted)
        self._counted.clear()
        return work


@dataclass(frozen=True)
class FailedCall:
    """The allocation call that was made to fail.

    number    which one, 1 being the first
    happened  whether that many calls were made
    calls     how many were made in all
    what      what the call asked for: order and GFP mask; empty where it did not happen
    phase     `fill` or `restore`; empty where it did not happen
    """

    number: int
    happened: bool
    calls: int
    what: str = ""
    phase: str = ""

    def as_dict(self) -> dict[str, object]:
        """The call for JSON."""
        return asdict(self)


class FailureWatch:
    """A listener that notes the call that was made to fail.

    phase  set by whoever runs the scenario
    """

    def __init__(self, number: int, policy: FailurePolicy) -> None:
        self.phase = ""
        self._number = number
        self._policy = policy
        self._what = ""
        self._when = ""

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        if isinstance(event, PagesAllocated) and event.failed and self._policy.calls == self._number and not self._what:
            self._what = f"order {event.order}, {describe(event.gfp)}"
            self._when = self.phase

    def seen(self) -> FailedCall:
        """What became of the call."""
        return FailedCall(self._number, bool(self._what), self._policy.calls, self._what, self._when)
