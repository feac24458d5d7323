# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of cached translations: they agree with the tables, and are flushed in time."""

from __future__ import annotations

from itertools import compress

import numpy as np

from hvolab.arch import EntryKind, Match
from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants.invariant import LISTED, Handlers, Invariant, Report
from hvolab.invariants.survey import Pfns, Survey
from hvolab.machine import Machine
from hvolab.trace import AllFlushed, Batch, EntriesStored, FolioStep, PagesFreed, RangeFlushed


def _check_stale(survey: Survey, report: Report) -> None:
    """No CPU has a translation of the vmemmap that differs from the tables.

    At rest, each translation that a CPU caches for a VA of the vmemmap has the frame to which the tables map that VA.
    A CPU with another one reads and writes the struct pages of that frame until its TLB is flushed.
    """
    pages, shift = survey.machine.struct_pages, np.uint64(survey.machine.target.mode.page_shift)
    for cached in survey.translations:
        mapped = survey.frames[survey.positions_of(((cached.vas - np.uint64(pages.base)) >> shift).astype(np.int64))]
        for row in np.flatnonzero(cached.frames != mapped)[:LISTED].tolist():
            va, frame, other = int(cached.vas[row]), int(cached.frames[row]), int(mapped[row])
            stale = f"CPU {cached.cpu} still translates VA {va:#x} to PFN {frame:#x}"
            report(f"{stale}, the tables map another, PFN {other:#x}", survey.folio_at(va))


TRANSLATIONS = Invariant(14, "translations", state=_check_stale)


class _Unflushed:
    """Replaced entries whose VAs were not flushed since."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._report = report
        self._target = machine.target
        self._mode = machine.target.mode
        self._frames: dict[int, int] = {}  # the frame before, by VA
        self._leaves: set[int] = set()  # VAs of leaves that became tables
        self._cleared: set[int] = set()  # VAs whose accessed flag was cleared
        self._in_batch = False
        self._folio = 0

    def entries(self, event: EntriesStored) -> None:
        """Remember what a live entry mapped before."""
        mode, level = self._mode, event.level
        if not event.live:
            return
        if level != mode.last.name:
            before, after = (mode.format.classify(level, int(raws[0])) for raws in (event.before, event.after))
            if (before, after) == (EntryKind.LEAF, EntryKind.TABLE):
                self._leaves.add(event.va)
            return
        if (leaf := event.va & -mode.levels[-2].size) in self._leaves:
            self._leaves.discard(leaf)
            what = f"entries changed below a leaf of level {mode.levels[-2].name} that was split and not flushed since"
            self._report(what, f"VA {event.va:#x}, {self._name()}")
        if not self._maps(event):
            self._report(
                "an entry was replaced as that of another VA than it maps", f"VA {event.va:#x}, {self._name()}"
            )
        frames = self._target.page_frames(event.before)
        differs = mode.format.is_valid(level, event.before) & (frames != self._target.page_frames(event.after))
        accessed = self._target.mmu.accessed
        if self._target.traits.uncached_without_accessed and accessed is not None:
            differs &= accessed.accepts(event.before)
            self._accessed(event, accessed, frames)
        pages = np.flatnonzero(differs)
        vas = (event.va + page * mode.page_size for page in pages.tolist())
        self._frames.update(zip(vas, frames[pages].tolist(), strict=True))

    def _maps(self, event: EntriesStored) -> bool:
        """Return whether the first entry of the last level is the one that maps the VA by which it is flushed."""
        depth, index, _ = self._machine.tables.descend(event.va)
        at = index * WORD_BYTES + self._machine.memory.base
        return depth == len(self._mode.levels) - 1 and at == event.pa

    def _accessed(self, event: EntriesStored, accessed: Match, frames: Pfns) -> None:
        """Remember pages whose flag is cleared; report those that get another frame and were not flushed since."""
        cleared = accessed.accepts(event.before) & ~accessed.accepts(event.after)
        moved = frames != self._target.page_frames(event.after)
        vas = range(event.va, event.va + frames.size * self._mode.page_size, self._mode.page_size)
        for va in self._cleared.intersection(compress(vas, moved.tolist())):
            self._cleared.discard(va)
            what = "an entry was replaced, and not flushed since its accessed flag was cleared"
            self._report(what, f"VA {va:#x}, {self._name()}")
        self._cleared.update(compress(vas, (cleared & ~moved).tolist()))

    def range_flushed(self, event: RangeFlushed) -> None:
        """Forget what was flushed."""
        size = self._mode.levels[-2].size
        self._leaves = {va for va in self._leaves if not (va < event.end and event.start < va + size)}
        self._cleared = {va for va in self._cleared if not event.start <= va < event.end}
        for va in [va for va in self._frames if event.start <= va < event.end]:
            del self._frames[va]

    def all_flushed(self, _: AllFlushed) -> None:
        """Forget everything."""
        self._frames.clear()
        self._leaves.clear()
        self._cleared.clear()

    def freed(self, event: PagesFreed) -> None:
        """Report frames that are freed while their VAs are not flushed."""
        if not self._frames or not event.pfns.size:
            return
        order = np.argsort(event.pfns)
        firsts, frames = event.pfns[order], np.fromiter(self._frames.values(), np.int64)
        block = np.searchsorted(firsts, frames, side="right") - 1
        freed = (block >= 0) & (frames < firsts[block] + (1 << event.order))
        vas = [va for va, found in zip(self._frames, freed.tolist(), strict=True) if found]
        if vas:
            what = f"{len(vas)} frames were freed before the VAs that they were mapped at were flushed"
            self._report(what, f"PFN {self._frames[vas[0]]:#x}, VA {vas[0]:#x}, {self._name()}")
        for va in vas:
            del self._frames[va]

    def batch(self, event: Batch) -> None:
        """Check at the end of a batch."""
        self._in_batch = event.step.endswith("begin")
        if not self._in_batch:
            self._end()

    def folio(self, event: FolioStep) -> None:
        """Check at the end of a folio by itself."""
        self._folio = event.folio
        if not self._in_batch and event.step.endswith("end"):
            self._end()

    def _end(self) -> None:
        """Report what was not flushed when the operation ends."""
        if self._frames:
            va, frame = next(iter(self._frames.items()))
            what = f"{len(self._frames)} pages have other entries and were not flushed when the operation ended"
            self._report(what, f"VA {va:#x}, PFN {frame:#x} before, {self._name()}")
            self._frames.clear()

    def _name(self) -> str:
        return f"folio PFN {self._machine.struct_pages.pfn(self._folio):#x}" if self._folio else "no folio"


def _watch_flushed(machine: Machine, report: Report) -> Handlers:
    """Each VA whose live entry was replaced is flushed before its old frame is freed, and before the operation ends.

    A TLB may still have the old translation: a store through it would reach a frame that belongs to another. A leaf
    that was split is flushed before the entries below change. Where an entry without accessed flag is in no TLB, its
    page is flushed after the flag was cleared, and before the entry maps another frame. An entry is replaced under the
    VA that it maps, as that is what is flushed. An operation is a batch, or a folio by itself.
    """
    history = _Unflushed(machine, report)
    return {
        EntriesStored: history.entries,
        RangeFlushed: history.range_flushed,
        AllFlushed: history.all_flushed,
        PagesFreed: history.freed,
        Batch: history.batch,
        FolioStep: history.folio,
    }


FLUSHED = Invariant(15, "flushed", history=_watch_flushed)
