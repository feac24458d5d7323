# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of stores to optimized folios."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import AllFlushed, EntriesStored, FolioStep, PageCopied, RangeFlushed, Stored


@dataclass
class _HeadCopy:
    """A head page that was copied: whether its entry was replaced since, and the stores to it (VA and bytes)."""

    remapped: bool = False
    stores: list[tuple[int, int]] = field(default_factory=list)


class _History:
    """Copies of head pages, and ends of optimized folios, by VA of the head."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._target = machine.target
        self._page_size = machine.target.mode.page_size
        self._report = report
        self._current: int | None = None
        self._optimizing = False
        self.copies: dict[int, _HeadCopy] = {}
        self._ends: dict[int, int] = {}
        self._heads: list[int] = []  # the keys of the above, ascending: folios do not overlap

    def step(self, event: FolioStep) -> None:
        self._optimizing = event.step == "optimize.begin"
        self._current = event.folio if event.step.endswith("begin") else None
        failed = bool(event.result)
        if event.step == "optimize.end" and failed:
            self.copies.pop(event.folio, None)
        if (event.step, failed) in {("optimize.end", True), ("restore.end", False)}:
            self._end(event.folio, None)

    def copied(self, event: PageCopied) -> None:
        if self._optimizing and event.from_va == self._current:
            self.copies[event.from_va] = _HeadCopy()

    def range_flushed(self, event: RangeFlushed) -> None:
        for va in [va for va in self.copies if event.start <= va < event.end]:
            del self.copies[va]

    def entries(self, event: EntriesStored) -> None:
        """Note the head entry that maps the new page, and where the tails of the folio end."""
        if not event.live or event.level != self._target.mode.last.name or self._current is None:
            return
        if (copy := self.copies.get(event.va)) is not None:
            copy.remapped = True
            self._report_lost(copy)
        frames = self._target.page_frames(event.after)
        if event.va == self._current or (frames == frames[0]).all():
            end = event.va + event.after.size * self._page_size
            self._end(self._current, max(end, self._ends.get(self._current, 0)))

    def _end(self, head: int, tails_end: int | None) -> None:
        """Remember where the tails of an optimized folio end; None: it is not optimized any more."""
        known = head in self._ends
        if tails_end is not None:
            self._ends[head] = tails_end
            if not known:
                insort(self._heads, head)
        elif known:
            del self._ends[head]
            self._heads.remove(head)

    def stored(self, event: Stored) -> None:
        """Report a store to an old head page or to a tail."""
        start, end = event.va, event.va + event.size
        for head, copy in self.copies.items():
            if start < head + self._page_size and end > head:
                copy.stores.append((start, event.size))
                self._report_lost(copy)
        first = max(0, bisect_right(self._heads, start) - 1)
        for head in self._heads[first : bisect_right(self._heads, end)]:
            if start < self._ends[head] and end > head + self._page_size:
                self._report(
                    "a store to a tail of an optimized folio reached the frame that all its pages share",
                    f"VA {start:#x}, folio VA {head:#x}",
                    declared=not self._target.tails_fault,
                )

    def _report_lost(self, copy: _HeadCopy) -> None:
        """Report the stores to an old head page, once its entry maps the new one."""
        if copy.remapped:
            for va, size in copy.stores:
                what = f"a store of {size} bytes to the head page between its copy and the flush is lost"
                self._report(what, f"VA {va:#x}")
            copy.stores.clear()


def _watch_stores(machine: Machine, report: Report) -> Handlers:
    """No store reaches a tail of an optimized folio, or its old head page between the copy and the flush.

    A store to a tail would reach the frame that all pages of the folio share. It is a declared finding where the
    profile's `PAGE_KERNEL_RO` allows stores. A store to the old head page between its copy and the flush that follows
    its remapping would be lost.
    """
    history = _History(machine, report)
    return {
        FolioStep: history.step,
        PageCopied: history.copied,
        EntriesStored: history.entries,
        Stored: history.stored,
        RangeFlushed: history.range_flushed,
        AllFlushed: lambda _: history.copies.clear(),
    }


STORES = Invariant(6, "stores", history=_watch_stores)
