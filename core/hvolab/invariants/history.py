"""Invariants 5, 6, 8 and 10 to 12 as histories: a listener that hears every event and keeps what breaks a rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, LiveEntryRule
from hvolab.errors import HvolabError
from hvolab.invariants.finding import Finding, Rule
from hvolab.machine import Machine
from hvolab.trace import (
    AllFlushed,
    Batch,
    EntriesStored,
    Event,
    FolioStep,
    GracePeriod,
    PageCopied,
    PagesAllocated,
    PageSplit,
    RangeFlushed,
    Stored,
)

#: Full flushes that a batch may take beside one for each retry after -ENOMEM.
_FLUSHES = {"optimize": 2, "restore": 1}


class EndlessLoopError(HvolabError):
    """A loop that makes no progress, stopped by the monitor (invariant 10)."""


@dataclass
class _Copied:
    """A head page that was copied: where it ends, whether it is remapped by now, stores to it since the copy."""

    end: int
    remapped: bool = False
    stores: list[tuple[int, int]] = field(default_factory=list)


class Monitor:
    """Listens to a machine and collects what breaks a history invariant.

    findings     what was seen, in order; a declared finding is one that the description foretells
    max_batches  batches of restoring that may follow each other with no folio restored, freed or added between

    Folios that were optimized before it listened are not known to it; their stores to tails go unnoticed.
    """

    def __init__(self, machine: Machine, *, max_batches: int = 64) -> None:
        self.machine = machine
        self.max_batches = max_batches
        self.findings: list[Finding] = []
        self.events = 0
        self._layout = machine.struct_pages.layout
        self._page = machine.target.mode.page_size
        self._live_rule = machine.target.traits.live_entries
        self._optimized: dict[int, int] = {}
        self._copied: dict[int, _Copied] = {}
        self._head_pages: dict[int, npt.NDArray[np.uint8]] = {}
        self._split: set[int] = set()
        self._blocks: set[int] = set()
        self._batch: str | None = None
        self._periods = self._flushes = self._retries = self._idle = 0
        self._current: int | None = None
        self._optimizing = False

    @contextmanager
    def watch(self, *, single_steps: bool = False) -> Iterator[Monitor]:
        """Listen inside the ``with`` block."""
        with self.machine.trace.listen(self, single_steps=single_steps):
            yield self

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        self.events += 1
        match event:
            case FolioStep():
                self._folio(event)
            case EntriesStored():
                self._entries(event)
            case Stored(_, va, _, size):
                self._stored(va, size)
            case PageCopied(_, _, from_va):
                self._page_copied(from_va)
            case RangeFlushed(start, end):
                for va in [va for va in self._copied if start <= va < end]:
                    del self._copied[va]
            case AllFlushed():
                self._copied.clear()
                self._flushes += 1
            case GracePeriod():
                self._periods += 1
            case PageSplit(pfn, _):
                self._page_split(pfn)
            case Batch(step):
                self._batch_step(step)
            case PagesAllocated():
                pass

    def _report(self, rule: Rule, what: str, where: str = "", *, declared: bool = False) -> None:
        self.findings.append(Finding(rule, what, where, declared, self.events))

    # 5: the head's content

    def _folio(self, event: FolioStep) -> None:
        folio, step = event.folio, event.step
        if step.endswith("begin"):
            self._current = folio
            self._optimizing = step.startswith("optimize")
            self._head_pages[folio] = self._head_page(folio)
            return
        self._current = None
        before = self._head_pages.pop(folio, None)
        if before is not None and not np.array_equal(before, self._head_page(folio)):
            word = int(np.flatnonzero(before != self._head_page(folio))[0])
            self._report(
                Rule.CONTENT, "the content of a folio's head page changed", f"folio VA {folio:#x}, byte {word:#x}"
            )
        if step == "optimize.end":
            if event.result:
                self._retries += 1
                self._copied.pop(folio, None)
                self._optimized.pop(folio, None)
            self._idle = 0
        elif not event.result:
            self._optimized.pop(folio, None)
            self._idle = 0

    def _head_page(self, folio: int) -> npt.NDArray[np.uint8]:
        """The bytes of the folio's first vmemmap page as the tables map it, without the optimized flag."""
        pages = self.machine.struct_pages
        offset = int(pages.locate(np.array([pages.pfn(folio)], dtype=np.int64))[0])
        octets = self.machine.memory.octets[offset : offset + self._page].copy()
        words = octets.view(self.machine.memory.words.dtype)
        words[self._layout.private // 8] &= np.uint64((1 << 64) - 1 & ~(1 << self._layout.hpg_vmemmap_optimized))
        return octets

    # 6: stores

    def _page_copied(self, from_va: int) -> None:
        """From the copy of a head page on, until the flush, a store to the old one would be lost."""
        if self._optimizing and from_va == self._current:
            self._copied[from_va] = _Copied(from_va + self._page)

    def _lost(self, copied: _Copied) -> None:
        """Report the stores to an old head page; as long as it is still mapped nothing is lost."""
        if not copied.remapped:
            return
        for va, size in copied.stores:
            what = f"a store of {size} bytes to the head page between its copy and the flush is lost"
            self._report(Rule.STORES, what, f"VA {va:#x}")
        copied.stores.clear()

    def _stored(self, va: int, size: int) -> None:
        for start, copied in self._copied.items():
            if va < copied.end and va + size > start:
                copied.stores.append((va, size))
                self._lost(copied)
        for start, end in self._optimized.items():
            if va < end and va + size > start + self._page:
                self._report(
                    Rule.STORES,
                    "a store to a tail of an optimized folio reached the frame that all its pages share",
                    f"VA {va:#x}, folio VA {start:#x}",
                    declared=not self.machine.target.tails_fault,
                )

    # 8 and 12: entries

    def _entries(self, event: EntriesStored) -> None:
        target = self.machine.target
        if not event.live:
            return
        if event.level != target.mode.last.name:
            kind = target.mode.format.classify(event.level, int(event.after[0]))
            if kind is EntryKind.TABLE:
                if event.va in self._split:
                    self._report(Rule.SPLITS, "a PMD was split twice", f"VA {event.va:#x}")
                self._split.add(event.va)
        elif self._current is not None:
            if (copied := self._copied.get(event.va)) is not None:
                copied.remapped = True
                self._lost(copied)
            shared = target.page_frames(event.after)
            if event.va == self._current or (shared == shared[0]).all():
                end = event.va + event.after.size * self._page
                self._optimized[self._current] = max(end, self._optimized.get(self._current, 0))
        if self._live_rule is not LiveEntryRule.FREE:
            self._live_entries(event)

    def _live_entries(self, event: EntriesStored) -> None:
        """Report replacements of valid entries by valid ones that lead elsewhere."""
        target = self.machine.target
        entry_format, traits = target.mode.format, target.traits
        before, after = event.before, event.after
        if traits.live_size_change and entry_format.classify(event.level, int(after[0])) is EntryKind.TABLE:
            return
        form = entry_format.form(event.level, EntryKind.LEAF)
        moved = form.get_address(before) != form.get_address(after)
        valid = entry_format.is_valid(event.level, before) & entry_format.is_valid(event.level, after)
        wrong = valid & moved
        if traits.uncached_without_accessed and target.mmu.accessed is not None:
            wrong &= target.mmu.accessed.accepts(before)
        if np.any(wrong):
            first = int(np.flatnonzero(wrong)[0])
            describe = self.machine.target.describe
            self._report(
                Rule.LIVE_ENTRIES,
                f"a live entry was replaced by a plain store: {self._live_rule.value}",
                f"VA {event.va + first * self._page:#x}, {describe(event.level, int(before[first]))} -> "
                f"{describe(event.level, int(after[first]))}",
                declared=True,
            )

    def _page_split(self, pfn: int) -> None:
        if pfn in self._blocks:
            self._report(Rule.SPLITS, f"split_page() was called twice for the block at PFN {pfn:#x}")
        self._blocks.add(pfn)
        if self.machine.records.reserved(np.array([pfn], dtype=np.int64))[0]:
            self._report(Rule.SPLITS, f"split_page() was called for the reserved frame at PFN {pfn:#x}")

    # 10 and 11: batches

    def _batch_step(self, step: str) -> None:
        what, _, when = step.partition(".")
        if when == "begin":
            self._batch = what
            self._periods = self._flushes = self._retries = 0
            self._idle += 1
            if self._idle > self.max_batches:
                finding = Finding(Rule.TERMINATION, f"{self._idle} batches without progress", since=self.events)
                self.findings.append(finding)
                raise EndlessLoopError(str(finding), hint="the loop that calls HVO must shrink its list each time")
            return
        self._batch = None
        allowed = _FLUSHES[what] + self._retries
        if self._periods > 1:
            self._report(Rule.FLUSHES, f"{self._periods} grace periods in one batch")
        if self._flushes > allowed:
            self._report(Rule.FLUSHES, f"{self._flushes} full flushes in one batch, {allowed} are allowed")
