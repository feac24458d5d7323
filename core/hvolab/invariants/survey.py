# SPDX-License-Identifier: GPL-2.0-only
"""Survey of a machine's vmemmap: the entry and the frame of every page as arrays, read from the page tables once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import round_up
from hvolab.arrays import common, equal_runs
from hvolab.hugetlb import Pool
from hvolab.hvo import VmemmapSizes
from hvolab.machine import Machine
from hvolab.release import StructPageLayout

Pfns = npt.NDArray[np.int64]

#: Vmemmap pages checked at once: bounds the memory that a check of a large machine needs.
_CHUNK = 1 << 19


@dataclass(frozen=True)
class Folios:
    """Folios of one order: PFNs of their heads, ascending."""

    order: int
    pfns: Pfns


@dataclass(frozen=True)
class Survey:
    """Every page of a machine's vmemmap, and the folios whose struct pages are in it.

    machine       the machine
    pools         its pools
    folios        the folios of the pools, and others
    other_frames  allocated frames that belong to neither vmemmap, page tables nor folios
    starts        first page of each range of vmemmap, in pages from the base
    offsets       position in the arrays of each range's first page
    frames        PFN behind each page, -1 where it is not mapped
    raws          entry of each page that is mapped at the last level, 0 elsewhere
    tables        PFNs of the tables of the last level
    split_vas     VA at which each of these tables starts
    """

    machine: Machine
    pools: tuple[Pool, ...]
    folios: tuple[Folios, ...]
    other_frames: int
    starts: Pfns
    offsets: Pfns
    frames: Pfns
    raws: npt.NDArray[np.uint64]
    tables: Pfns
    split_vas: npt.NDArray[np.uint64]

    @cached_property
    def backing(self) -> Pfns:
        """The frames behind the vmemmap, each once, ascending."""
        ordered = np.sort(self.frames[self.frames >= 0], kind="stable")  # ascending runs
        return ordered[equal_runs(ordered)[0]]

    @cached_property
    def translations(self) -> tuple[Translations, ...]:
        """The translations of the vmemmap that CPUs cache, of each CPU that reports them."""
        return tuple(_translations(self.machine))

    @cached_property
    def tail_pages(self) -> Pfns:
        """The frames that the tails of each zone and order share, ascending; none where they share their head's."""
        return np.array(sorted(self.machine.vmemmap_tails.values()), dtype=np.int64)

    @cached_property
    def overcounted(self) -> int:
        """Frames in nr_memmap_pages and nr_memmap_boot_pages that do not back the vmemmap; negative: those missing."""
        return self.machine.counters.total - (self.backing.size - common(self.tail_pages, self.backing).size)

    def tail_frames(self, folios: Folios) -> Pfns:
        """Return for each folio the frame to which its tails are mapped while it is optimized; -1: none yet."""
        machine, layout = self.machine, self.machine.struct_pages.layout
        if not machine.target.release.variant.shares_tail_page:
            return self.frames[self.positions(folios.pfns)]
        flags = machine.struct_pages.words(folios.pfns, layout.flags) & np.uint64(place_bits(layout))
        places, rows = np.unique(flags, return_inverse=True)
        shared = [(layout.node(place), layout.zone(place), folios.order) for place in places.tolist()]
        return np.array([machine.vmemmap_tails.get(place, -1) for place in shared], dtype=np.int64)[rows]

    def sizes(self, folios: Folios) -> VmemmapSizes:
        """Return the sizes of the vmemmap of these folios."""
        return VmemmapSizes(folios.order, self.machine.target.mode.page_size, self.machine.struct_pages.layout.size)

    def chunks(self) -> Iterator[Folios]:
        """Yield all folios, as many at once as a bounded number of vmemmap pages describes."""
        for folios in self.folios:
            step = max(1, _CHUNK // self.sizes(folios).pages)
            for first in range(0, folios.pfns.size, step):
                yield Folios(folios.order, folios.pfns[first : first + step])

    def optimized(self, pfns: Pfns) -> npt.NDArray[np.bool_]:
        """Return for each folio whether its head struct page, as the tables map it, has the optimized flag."""
        return self.machine.struct_pages.optimized(pfns)

    def positions(self, pfns: Pfns) -> Pfns:
        """Return the positions in the arrays of the vmemmap page in which each PFN's struct page begins."""
        pages = self.machine.struct_pages
        shift = self.machine.target.mode.page_shift
        return self.positions_of(((pfns - pages.first_pfn) * pages.layout.size) >> shift)

    def positions_of(self, page: Pfns) -> Pfns:
        """Return the positions in the arrays of vmemmap pages, counted from the base."""
        ranges = np.searchsorted(self.starts, page, side="right") - 1
        return page - self.starts[ranges] + self.offsets[ranges]

    def va(self, position: int) -> int:
        """Return the VA of the vmemmap page at a position."""
        index = int(np.searchsorted(self.offsets, position, side="right")) - 1
        page = position - int(self.offsets[index]) + int(self.starts[index])
        return self.machine.struct_pages.base + (page << self.machine.target.mode.page_shift)

    def folio_at(self, va: int) -> str:
        """Return the folio whose vmemmap has a VA, for a finding."""
        pfn = self.machine.struct_pages.pfn(va)
        for folios in self.folios:
            row = int(np.searchsorted(folios.pfns, pfn, side="right")) - 1
            if row >= 0 and pfn < int(folios.pfns[row]) + (1 << folios.order):
                return f"folio PFN {int(folios.pfns[row]):#x}"
        return f"the struct page of PFN {pfn:#x}, in no folio"

    def where(self, position: int) -> str:
        """Return VA, entry raw and decoded, and PFN of the page at a position, for a finding."""
        target = self.machine.target
        raw, va = int(self.raws[position]), self.va(position)
        entry = target.describe(target.mode.last.name, raw) if raw else self.machine.tables.describe(va)
        return f"VA {va:#x}, entry {entry}, PFN {int(self.frames[position]):#x}"


def survey(
    machine: Machine, pools: Iterable[Pool] = (), folios: Sequence[Folios] = (), *, other_frames: int = 0
) -> Survey:
    """Read the whole vmemmap of a machine; further `folios` are in no pool, other arguments are fields of a Survey."""
    pools, pages, mode = tuple(pools), machine.struct_pages, machine.target.mode
    pooled = (
        Folios(pool.h.order, np.array(sorted(map(pages.pfn, pool.live | pool.leaked)), dtype=np.int64))
        for pool in pools
    )
    shift, last, leaf = mode.page_shift, mode.last, mode.level(mode.vmemmap_level).size
    # whole leaves, as boot maps them: the last may reach beyond the struct pages of RAM, and counts all the same
    ranges = [(pages.va(first) // leaf * leaf, round_up(pages.va(stop), leaf)) for first, stop in machine.vmemmap]
    offsets = np.cumsum([0, *((end - start) >> shift for start, end in ranges)])
    frames, raws = (np.zeros(offsets[-1], dtype=kind) for kind in (np.int64, np.uint64))
    tables, vas = [], []
    for (start, end), first, stop in zip(ranges, offsets.tolist(), offsets[1:].tolist(), strict=False):
        frames[first:stop] = machine.tables.frames(start, stop - first)
        for run in machine.tables.runs(start, end):
            if run.level is last:
                page = first + ((run.va - start) >> shift)
                raws[page : page + run.raws.size] = run.raws
                tables.append((run.slot - last.index(run.va) * last.entry_bytes) >> shift)
                vas.append(run.va)
    return Survey(
        machine,
        pools,
        (*pooled, *folios),
        other_frames,
        np.array([(start - pages.base) >> shift for start, _ in ranges], dtype=np.int64),
        offsets[:-1],
        frames,
        raws,
        np.array(tables, dtype=np.int64),
        np.array(vas, dtype=np.uint64),
    )


class Translations(NamedTuple):
    """Translations of the vmemmap that a CPU caches, as a row for each page that one maps.

    cpu     number of the CPU
    number  number of the translation, in each row
    vas     VA of each page
    frames  PFN of each page
    """

    cpu: int
    number: Pfns
    vas: npt.NDArray[np.uint64]
    frames: Pfns


def _translations(machine: Machine) -> Iterator[Translations]:
    """Yield the translations of the vmemmap of each CPU that reports them."""
    pages, shift = machine.struct_pages, machine.target.mode.page_shift
    ends = [pages.va(stop) for _, stop in machine.vmemmap]
    for cpu in machine.cpus:
        cached = cpu.cached_translations()
        if cached is None or not cached.size or not ends:
            continue
        inside = (cached[:, 0] >= np.uint64(pages.base)) & (cached[:, 0] < np.uint64(max(ends)))
        vas, (firsts, counts) = cached[inside, 0], cached[inside, 1:].astype(np.int64).T
        rows = np.repeat(np.arange(firsts.size), counts)
        page = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        yield Translations(
            cpu.index, rows, vas[rows] + (page.astype(np.uint64) << np.uint64(shift)), firsts[rows] + page
        )


def place_bits(layout: StructPageLayout) -> int:
    """Return the bits of a flags word that hold node and zone."""
    return (1 << layout.node_bits) - 1 << layout.node_shift | (1 << layout.zone_bits) - 1 << layout.zone_shift
