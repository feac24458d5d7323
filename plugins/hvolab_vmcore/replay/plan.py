# SPDX-License-Identifier: GPL-2.0-only
"""Plan of a replay: the folios that a kernel optimized or restored between two cores; and its execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import HvoEngine, VmemmapSizes
from hvolab.machine import Machine
from hvolab.machine.struct_pages import lists
from hvolab.release import KernelFeature
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.scan.scan import Scan

Folio = tuple[int, int]  #: PFN of the head and order


@dataclass(frozen=True)
class ReplayPlan:
    """Folios that the kernel restored and optimized between two cores, by PFN.

    restored   optimized in the core before
    optimized  optimized in the core after
    passing    optimized in neither; their tails have other frames in the core after
    """

    restored: tuple[Folio, ...]
    optimized: tuple[Folio, ...]
    passing: tuple[Folio, ...] = ()

    @property
    def steps(self) -> tuple[tuple[str, tuple[Folio, ...]], ...]:
        """Folios by what was done with them, in words."""
        passing = ("optimized and restored", self.passing)
        return (("restored", self.restored), passing, ("optimized", self.optimized))

    @property
    def folios(self) -> tuple[Folio, ...]:
        """All folios, each once."""
        return tuple(sorted({folio for _, folios in self.steps for folio in folios}))


def plan_of(start: Scan, end: Scan) -> ReplayPlan:
    """Compute the plan from the folios that are optimized in one core and not in the other.

    A folio that is optimized in both, with another head frame, was restored and optimized again.
    """
    before, after = _optimized(start), _optimized(end)
    again = {folio for folio in before.keys() & after.keys() if before[folio] != after[folio]}
    return ReplayPlan(
        restored=tuple(sorted((before.keys() - after.keys()) | again)),
        optimized=tuple(sorted((after.keys() - before.keys()) | again)),
        passing=_passing(start, end),
    )


def _passing(start: Scan, end: Scan) -> tuple[Folio, ...]:
    """Return the blocks, the largest ones first, that are optimized in neither core and whose tails have other frames.

    A tail may get its old frame again, so most of a block count. A block may be larger than the folios were: they leave
    the same, since every page of a restored folio has a frame of its own.
    """
    mode, size = start.snapshot.target.mode, start.snapshot.struct_pages.layout.size
    numbers, mine, other = np.intersect1d(
        start.pages.numbers, end.pages.numbers, assume_unique=True, return_indices=True
    )
    ours, theirs = start.pages.frames[mine], end.pages.frames[other]
    moved = (ours != theirs) & (ours >= 0) & (theirs >= 0)
    moved &= ~start.optimized_pages[mine] & ~end.optimized_pages[other]
    changed, found = numbers[moved], []
    for index, huge in enumerate(start.huge_pages):
        blocks = _changed_blocks(changed, [smaller.pages for smaller in start.huge_pages[index:]])
        changed = changed[~np.isin(changed // huge.pages, blocks)]
        pfns = (blocks * huge.pages << mode.page_shift) // size
        found += [(pfn, huge.order) for pfn in pfns.tolist()]
    return tuple(sorted(found))


def _changed_blocks(changed: Ints, sizes: list[int]) -> Ints:
    """Return the numbers of blocks of the first size in which most of each block of the last size is changed.

    changed  numbers of pages
    sizes    pages in a block, the largest first
    """
    *larger, smallest = sizes
    tails = changed[changed % smallest != 0]
    blocks, counts = np.unique(tails // smallest, return_counts=True)
    blocks, part = blocks[2 * counts >= smallest], smallest
    for size in reversed(larger):
        blocks, counts = np.unique(blocks * part // size, return_counts=True)
        blocks, part = blocks[counts == size // part], size
    return blocks


def execute(hvo: HvoEngine, plan: ReplayPlan, on_stage: Callable[[str], None] = lambda _: None) -> None:
    """Restore and optimize as hugetlb does: by ascending PFN, in batches of one size where the release has batches.

    on_stage  is called with each operation, before it begins

    Folios are restored first: memory that changes its huge page size is freed before it is allocated again.
    """
    machine = hvo.machine
    layout, cpu = machine.struct_pages.layout, machine.cpus[0]
    sizes = partial(VmemmapSizes, page_size=machine.target.mode.page_size, struct_page_size=layout.size)
    folio_list, non_hvo = machine.kernel_data(lists.SIZE), machine.kernel_data(lists.SIZE)

    def link(folios: list[int]) -> None:
        for head in (folio_list, non_hvo):
            lists.init(cpu, head)
        for pfn in folios:
            lists.add_tail(cpu, machine.struct_pages.va(pfn) + layout.lru_next, folio_list)

    batches = KernelFeature.BATCHES in hvo.release.features

    def restore(order: int, folios: list[int]) -> None:
        on_stage(f"restore {len(folios)} folios of order {order}")
        if batches:
            link(folios)
            hvo.restore_folios(sizes(order), folio_list, non_hvo)
        else:
            for pfn in folios:
                hvo.restore_folio(sizes(order), machine.struct_pages.va(pfn))

    def optimize(order: int, folios: list[int]) -> None:
        on_stage(f"optimize {len(folios)} folios of order {order}")
        for pfn in folios:
            prepare_folio(machine, pfn, order)
        if batches:
            link(folios)
            hvo.optimize_folios(sizes(order), folio_list)
        else:
            for pfn in folios:
                hvo.optimize_folio(sizes(order), machine.struct_pages.va(pfn))

    for order, folios in by_order(plan.restored):
        restore(order, folios)
    for order, folios in by_order(plan.passing):
        optimize(order, folios)
        restore(order, folios)
    for order, folios in by_order(plan.optimized):
        optimize(order, folios)


def prepare_folio(machine: Machine, pfn: int, order: int) -> None:
    """Write the fields that HVO and a comparison read, in the first vmemmap page of a folio.

    Kernel: prep_compound_page() in mm/page_alloc.c and init_new_hugetlb_folio() in mm/hugetlb.c, v6.12.
    Raises AbsentMemoryError where the core does not hold them.
    """
    pages, memory = machine.struct_pages, machine.memory
    layout = pages.layout
    count = min(1 << order, machine.target.mode.page_size // layout.size)
    start = int(pages.locate(np.array([pfn], dtype=np.int64))[0])
    words = memory.words[start // WORD_BYTES : (start + count * layout.size) // WORD_BYTES].reshape(count, -1)
    head = pages.va(pfn)
    words[1:, layout.compound_head // WORD_BYTES] = layout.tail_link(head, order)
    words[1:, layout.private // WORD_BYTES] = 0
    words[layout.used_subpages :, layout.mapping // WORD_BYTES] = layout.tail_mapping
    folios = FolioPages(machine, machine.cpus[0])
    folios.prep_head(head, order, gigantic=False)
    folios.set_private(head, 0)
    folios.set_refcount(head, 0)
    folios.set_hugetlb(head, hugetlb=True)


def by_order(folios: tuple[Folio, ...]) -> list[tuple[int, list[int]]]:
    """Return the PFNs of each order."""
    orders = sorted({order for _, order in folios})
    return [(order, [pfn for pfn, its in folios if its == order]) for order in orders]


def _optimized(scan: Scan) -> dict[Folio, int]:
    """Return the optimized folios, each with its head's frame."""
    folios: dict[Folio, int] = {}
    for huge in scan.huge_pages:
        chosen = np.flatnonzero(huge.optimized)
        frames = scan.pages.frames[huge.rows[chosen]].tolist()
        folios |= {(pfn, huge.order): frame for pfn, frame in zip(huge.pfns[chosen].tolist(), frames, strict=True)}
    return folios
