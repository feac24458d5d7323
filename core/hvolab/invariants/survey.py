"""A survey of the vmemmap: every page's entry and frame as arrays, read off the page tables once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind
from hvolab.hugetlb import Pool
from hvolab.machine import Machine

Pfns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Folios:
    """Folios of one order: PFNs of their heads, ascending."""

    order: int
    pfns: Pfns


def folios_of(pools: Iterable[Pool]) -> tuple[Folios, ...]:
    """The folios of some pools."""
    return tuple(
        Folios(pool.h.order, np.array(sorted(map(pool.machine.struct_pages.pfn, pool.live)), dtype=np.int64))
        for pool in pools
    )


@dataclass(frozen=True)
class Survey:
    """Every page of a machine's vmemmap.

    machine   whose it is
    starts    first page of each range of vmemmap, in pages from the base
    offsets   position in the arrays of each range's first page
    frames    PFN behind each page, -1 where none is
    raws      the entry of each page that is mapped at the last level, 0 elsewhere
    tables    PFNs of the tables of the last level
    split_vas VA that each of these tables starts at
    """

    machine: Machine
    starts: Pfns
    offsets: Pfns
    frames: Pfns
    raws: npt.NDArray[np.uint64]
    tables: Pfns
    split_vas: npt.NDArray[np.uint64]

    @cached_property
    def backing(self) -> Pfns:
        """The frames behind the vmemmap, each once, ascending."""
        ordered = np.sort(self.frames[self.frames >= 0])
        return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if ordered.size else ordered

    def positions(self, pfns: Pfns) -> Pfns:
        """Positions in the arrays of the vmemmap page that each PFN's struct page begins in."""
        pages = self.machine.struct_pages
        shift = self.machine.target.mode.page_shift
        page = ((pfns - pages.first_pfn) * pages.layout.size) >> shift
        ranges = np.searchsorted(self.starts, page, side="right") - 1
        return page - self.starts[ranges] + self.offsets[ranges]

    def va(self, position: int) -> int:
        """VA of the vmemmap page at ``position``."""
        index = int(np.searchsorted(self.offsets, position, side="right")) - 1
        page = position - int(self.offsets[index]) + int(self.starts[index])
        return self.machine.struct_pages.base + (page << self.machine.target.mode.page_shift)

    def where(self, position: int) -> str:
        """VA, entry raw and decoded, and PFN of the page at ``position``, for a finding."""
        target = self.machine.target
        raw, va = int(self.raws[position]), self.va(position)
        entry = target.describe(target.mode.last.name, raw) if raw else self.machine.tables.describe(va)
        return f"VA {va:#x}, entry {entry}, PFN {int(self.frames[position]):#x}"


def survey(machine: Machine) -> Survey:
    """Read the whole vmemmap of ``machine``."""
    pages, mode = machine.struct_pages, machine.target.mode
    shift, last, leaf = mode.page_shift, mode.last, mode.level(mode.vmemmap_level).size
    starts, offsets, tables, vas = [], [], [], []
    frames: list[Pfns] = []
    raws: list[npt.NDArray[np.uint64]] = []
    total = 0
    for first, stop in machine.vmemmap:
        # whole leaves, as boot maps them: the last may reach beyond the struct pages of RAM, and counts all the same
        start = (pages.va(first) // leaf * leaf - pages.base) >> shift
        end = (-(-pages.va(stop) // leaf) * leaf - pages.base) >> shift
        starts.append(start)
        offsets.append(total)
        total += end - start
        base = pages.base + (start << shift)
        for run in machine.tables.runs(base, pages.base + (end << shift)):
            if run.level is last:
                valid = mode.format.is_valid(last.name, run.raws)
                frames.append(np.where(valid, machine.target.page_frames(run.raws), -1))
                raws.append(run.raws)
                tables.append((run.slot - last.index(run.va) * last.entry_bytes) >> shift)
                vas.append(run.va)
                continue
            inside = (run.va & (run.level.size - 1)) >> shift
            rest = (pages.base + (end << shift) - run.va) >> shift
            count = min(rest, (run.level.size >> shift) - inside)
            if run.kind is EntryKind.LEAF:
                form = mode.format.form(run.level.name, EntryKind.LEAF)
                pfn = (form.get_address(int(run.raws[0])) >> shift) + inside
                frames.append(np.arange(pfn, pfn + count, dtype=np.int64))
            else:
                frames.append(np.full(count, -1, dtype=np.int64))
            raws.append(np.zeros(count, dtype=np.uint64))
    return Survey(
        machine,
        np.array(starts, dtype=np.int64),
        np.array(offsets, dtype=np.int64),
        np.concatenate(frames) if frames else np.empty(0, dtype=np.int64),
        np.concatenate(raws) if raws else np.empty(0, dtype=np.uint64),
        np.array(tables, dtype=np.int64),
        np.array(vas, dtype=np.uint64),
    )
