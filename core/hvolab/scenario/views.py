"""View of the mapping of a folio's vmemmap at one moment, in runs of pages that are mapped alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from hvolab.arch import Access, EntryKind, Target
from hvolab.arrays import consecutive_runs
from hvolab.machine import Machine
from hvolab.machine.memory.tables import EntryRun
from hvolab.serialize import Hex

Pfns = npt.NDArray[np.int64]


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

    def mapped_by(self) -> tuple[tuple[str, int], ...]:
        """Return the levels whose entries map it, each with their number."""
        entries: dict[str, int] = {}
        for run in self.runs:
            entries[run.level] = entries.get(run.level, 0) + run.entries
        return tuple(entries.items())

    def frame(self, page: int) -> int:
        """Return the PFN behind the vmemmap page of that number."""
        return self.run_of(page).frame(page)

    def frames(self) -> frozenset[int]:
        """Return the frames behind it."""
        return frozenset(run.frame(page) for run in self.runs for page in range(run.page, run.page + run.pages))


def view_vmemmap(machine: Machine, folio: int, pages: int) -> VmemmapView:
    """Return the mapping of ``pages`` pages of vmemmap from ``folio`` (VA of a head struct page) on."""
    mode = machine.target.mode
    runs: list[MappingRun] = []
    page = 0
    for run in machine.tables.runs(folio, folio + (pages << mode.page_shift)):
        if run.level is mode.last:
            for found in _pages_of(machine.target, run, page):
                _append(machine.target, runs, found)
            page += run.raws.size
        elif run.kind is EntryKind.LEAF:
            count = min(pages - page, (run.level.size - (run.va & (run.level.size - 1))) >> mode.page_shift)
            runs.append(_leaf(machine.target, run, page, count))
            page += count
    return VmemmapView(folio, pages, mode.page_size, tuple(runs))


def _leaf(target: Target, run: EntryRun, page: int, count: int) -> MappingRun:
    """Return the run of pages that one leaf above the last level maps."""
    form = target.mode.format.form(run.level.name, EntryKind.LEAF)
    raw = int(run.raws[0])
    pfn = form.get_address(raw) + (run.va & (run.level.size - 1)) >> target.mode.page_shift
    return MappingRun(page, run.va, count, 1, run.level.name, raw, _writable(target, raw), pfn, 1)


def _pages_of(target: Target, run: EntryRun, page: int) -> list[MappingRun]:
    """Return the runs of entries of the last level with the same permissions and consecutive frames."""
    shift, size = target.mode.page_shift, run.raws.size
    frames: Pfns = target.page_frames(run.raws)
    prots = run.raws & ~np.uint64(target.page_form.address_mask)
    found: list[MappingRun] = []
    first = 0
    while first < size:
        step, last = 0, first + 1
        if last < size and prots[last] == prots[first] and abs(int(frames[last] - frames[first])) <= 1:
            step = int(frames[last] - frames[first])
            alike = (prots[last:] == prots[first]) & (np.diff(frames[first:]) == step)
            stops = np.flatnonzero(~alike)
            last = last + int(stops[0]) if stops.size else size
        raw = int(run.raws[first])
        va, pages, writable = run.va + (first << shift), last - first, _writable(target, raw)
        pfn = int(frames[first])
        found.append(MappingRun(page + first, va, pages, pages, run.level.name, raw, writable, pfn, step))
        first = last
    return found


def _append(target: Target, runs: list[MappingRun], new: MappingRun) -> None:
    """Append a run of the last level, or lengthen the one before it if that ends only because a table does."""
    if runs and runs[-1].level == new.level:
        old, prot = runs[-1], ~target.page_form.address_mask
        continues = old.step == new.step and old.frame(new.page) == new.pfn
        if continues and old.raw & prot == new.raw & prot:
            runs[-1] = replace(old, pages=old.pages + new.pages, entries=old.entries + new.entries)
            return
    runs.append(new)


def _writable(target: Target, raw: int) -> bool:
    return bool(target.allowed(raw, ()) & Access.WRITE)


def folded(pfns: frozenset[int]) -> tuple[tuple[int, int], ...]:
    """Return a set of PFNs as ranges, each first and last, ascending."""
    ordered = np.array(sorted(pfns), dtype=np.int64)
    starts, stops = consecutive_runs(ordered)
    return tuple(zip(ordered[starts].tolist(), ordered[stops - 1].tolist(), strict=True))
