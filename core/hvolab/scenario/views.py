# SPDX-License-Identifier: GPL-2.0-only
"""Views of the mapping of a folio's vmemmap, in runs of pages that are mapped alike, and the observer that takes them.

One folio of each size is viewed: before and after the batch that optimizes it, and at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hvolab.arch import Access
from hvolab.arrays import consecutive_runs
from hvolab.hvo import HasOrder, HvoEngine
from hvolab.machine import Machine
from hvolab.machine.struct_pages import lists
from hvolab.serialize import Hex

_T = TypeVar("_T")


@dataclass(frozen=True)
class MappingRun:
    """Consecutive pages of vmemmap that are mapped alike.

    page      number of the first page, from the head page's 0 on
    va        its VA
    pages     number of pages
    entries   number of entries that map them: one for each page at the last level, one in all above it
    level     name of the level of the leaf
    raw       the first page's entry, or the leaf that maps them all
    writable  whether the kernel may store through it
    pfn       the first page's frame
    step      from each page's frame to the next one's: 1, 0 (all share one) or -1
    """

    page: int
    va: Hex
    pages: int
    entries: int
    level: str
    raw: Hex = field(metadata={"data": "entry"})
    writable: bool
    pfn: Hex
    step: int

    def frame(self, page: int) -> int:
        """Return the PFN behind the vmemmap page of that number."""
        return self.pfn + self.step * (page - self.page)


@dataclass(frozen=True)
class VmemmapView:
    """The vmemmap of one folio at one moment, as the tables map it.

    va         VA of its first page, the folio's head struct page
    pages      number of its pages
    page_size  bytes of a page
    runs       their mappings, in order
    """

    va: int
    pages: int
    page_size: int
    runs: tuple[MappingRun, ...]

    def run_of(self, page: int) -> MappingRun:
        """Return the run with the vmemmap page of that number."""
        return next(run for run in self.runs if run.page <= page < run.page + run.pages)

    def mapped_by(self) -> Counter[str]:
        """Return the number of entries that map it, by the name of their level."""
        return sum((Counter({run.level: run.entries}) for run in self.runs), start=Counter())

    def frame(self, page: int) -> int:
        """Return the PFN behind the vmemmap page of that number."""
        return self.run_of(page).frame(page)

    def frames(self) -> frozenset[int]:
        """Return the frames behind it."""
        return frozenset(run.frame(page) for run in self.runs for page in range(run.page, run.page + run.pages))


@dataclass(frozen=True)
class FolioHistory:
    """One folio, viewed closely.

    size, pfn  bytes and head PFN
    before     its vmemmap before the batch that optimized it
    after      its vmemmap after that
    restored   its vmemmap at the end
    """

    size: int
    pfn: int
    before: VmemmapView
    after: VmemmapView
    restored: VmemmapView

    @property
    def freed(self) -> tuple[tuple[int, int], ...]:
        """Ranges of frames (first, last) that no longer back it once optimized."""
        return folded(self.before.frames() - self.after.frames())


class Observer:
    """Engine that views the first folio of each order that is optimized, and else does what another engine does.

    Before each call, every CPU but the first reads the vmemmap of its folios, as walkers of PFNs do: translations of
    the mapping before are then in their TLBs.

    histories  history of that folio, by order; it ends with the batch, or with the folio if it is by itself
    running    whether the other engine runs, or has ended with an exception
    first      first folio of its last call, None for none
    seen       bytes of the vmemmap of each folio of a call, also of folios that were freed since
    """

    def __init__(self, hvo: HvoEngine) -> None:
        self._hvo = hvo
        self.histories: dict[int, FolioHistory] = {}
        self.running = False
        self.first: int | None = None
        self.seen: dict[int, int] = {}

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folio()."""
        self._observe(h, [folio], lambda: self._hvo.optimize_folio(h, folio))

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folios()."""
        self._observe(h, self._on_list(folio_list), lambda: self._hvo.optimize_folios(h, folio_list))

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Kernel: hugetlb_vmemmap_restore_folio()."""
        self._read_by_others(h, [folio])
        return self._run(lambda: self._hvo.restore_folio(h, folio))

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Kernel: hugetlb_vmemmap_restore_folios()."""
        self._read_by_others(h, self._on_list(folio_list))
        return self._run(lambda: self._hvo.restore_folios(h, folio_list, non_hvo_folios))

    def _run(self, call: Callable[[], _T]) -> _T:
        """Call the other engine."""
        self.running = True
        result = call()
        self.running = False
        return result

    def _on_list(self, folio_list: int) -> list[int]:
        """Return the folios of a list."""
        machine = self._hvo.machine
        return [node - machine.struct_pages.layout.lru_next for node in lists.nodes(machine.cpus[0], folio_list)]

    def _read_by_others(self, h: HasOrder, folios: list[int]) -> None:
        """Read each page of the vmemmap of folios on every CPU but the first."""
        self.first = next(iter(folios), None)
        self.seen.update(dict.fromkeys(folios, self._hvo.machine.struct_pages.layout.size << h.order))
        machine, page_size = self._hvo.machine, self._hvo.machine.target.mode.page_size
        for cpu in machine.cpus[1:] if folios else ():
            pages = np.arange(0, machine.struct_pages.layout.size << h.order, page_size, dtype=np.uint64)
            for va in (np.array(folios, dtype=np.uint64)[:, None] + pages).ravel().tolist():
                cpu.load_word(va)  # one by one: bulk loads need not fill the TLB

    def _observe(self, h: HasOrder, folios: list[int], optimize: Callable[[], None]) -> None:
        """View a folio before and after it is optimized, if it is the first of its order."""
        machine = self._hvo.machine
        self._read_by_others(h, folios)
        if not folios or h.order in self.histories:
            self._run(optimize)
            return
        folio, pages = folios[0], self._hvo.sizes(h).pages
        before = view_vmemmap(machine, folio, pages)
        self._run(optimize)
        after = view_vmemmap(machine, folio, pages)
        size, pfn = machine.target.mode.page_size << h.order, machine.struct_pages.pfn(folio)
        self.histories[h.order] = FolioHistory(size, pfn, before, after, after)


def view_vmemmap(machine: Machine, folio: int, pages: int) -> VmemmapView:
    """Return the mapping of ``pages`` pages of vmemmap from ``folio`` (VA of a head struct page) on."""
    target, mode = machine.target, machine.target.mode
    start, levels = folio & -mode.page_size, {0: mode.last.name}
    # the entry of each page, and the PA of the leaf above the last level that maps it, 0 for none
    raws, leaves = np.zeros(pages, dtype=np.uint64), np.zeros(pages, dtype=np.int64)
    for run in machine.tables.runs(start, start + pages * mode.page_size):
        first, leaf = (run.va - start) >> mode.page_shift, 0 if run.level is mode.last else run.slot
        levels[leaf] = run.level.name
        leaves[first:] = leaf
        raws[first : pages if leaf else first + run.raws.size] = run.raws
    frames = machine.tables.frames(start, pages)
    prots, steps = raws & ~np.uint64(target.page_form.address_mask), np.diff(frames)
    alike = (leaves[1:] == leaves[:-1]) & (prots[1:] == prots[:-1]) & (np.abs(steps) <= 1)
    found, page = [], 0
    while page < pages:
        stops = np.flatnonzero(~alike[page:] | (steps[page:] != steps[page : page + 1]))
        count = 1 + int(stops[0]) if stops.size else pages - page
        leaf, raw, pfn = int(leaves[page]), int(raws[page]), int(frames[page])
        step = int(steps[page]) if count > 1 else int(leaf > 0)
        writable, entries = bool(target.allowed(raw, ()) & Access.WRITE), 1 if leaf else count
        va = folio + page * mode.page_size
        found.append(MappingRun(page, va, count, entries, levels[leaf], raw, writable, pfn, step))
        page += count
    return VmemmapView(folio, pages, mode.page_size, tuple(found))


def folded(pfns: frozenset[int]) -> tuple[tuple[int, int], ...]:
    """Return a set of PFNs as ranges, each first and last, ascending."""
    ordered = np.array(sorted(pfns), dtype=np.int64)
    starts, stops = consecutive_runs(ordered)
    return tuple(zip(ordered[starts].tolist(), ordered[stops - 1].tolist(), strict=True))
