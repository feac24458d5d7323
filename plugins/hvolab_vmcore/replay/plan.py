# SPDX-License-Identifier: GPL-2.0-only
"""Plan of a replay: the folios that a kernel optimized or restored between two cores; and its execution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import HvoEngine, VmemmapSizes
from hvolab.machine import Machine
from hvolab.machine.struct_pages import lists
from hvolab_vmcore.scan.scan import Scan

Folio = tuple[int, int]  #: PFN of the head and order


@dataclass(frozen=True)
class ReplayPlan:
    """Folios that the kernel restored and optimized between two cores, by PFN."""

    restored: tuple[Folio, ...]
    optimized: tuple[Folio, ...]


def plan_of(start: Scan, end: Scan) -> ReplayPlan:
    """Compute the plan from the folios that are optimized in one core and not in the other.

    A folio that is optimized in both, with another head frame, was restored and optimized again.
    """
    before, after = _optimized(start), _optimized(end)
    again = {folio for folio in before.keys() & after.keys() if before[folio] != after[folio]}
    return ReplayPlan(
        restored=tuple(sorted((before.keys() - after.keys()) | again)),
        optimized=tuple(sorted((after.keys() - before.keys()) | again)),
    )


def execute(hvo: HvoEngine, plan: ReplayPlan) -> None:
    """Restore and optimize as hugetlb does: in batches of one size, by ascending PFN.

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

    for order, folios in by_order(plan.restored):
        link(folios)
        hvo.restore_folios(sizes(order), folio_list, non_hvo)
    for order, folios in by_order(plan.optimized):
        for pfn in folios:
            prepare_folio(machine, pfn, order)
        link(folios)
        hvo.optimize_folios(sizes(order), folio_list)


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
    folios.prep_head(head, order)
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
