"""Plan of a replay: the folios that a kernel optimized or restored between two cores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.hvo import HvoEngine
from hvolab.machine.struct_pages import lists
from hvolab_vmcore.replay.folios import prepare_folio
from hvolab_vmcore.scan.scan import Scan

Folio = tuple[int, int]  #: PFN of the head and order


@dataclass(frozen=True)
class FolioOrder:
    """Order of an hstate, all that an engine needs of it."""

    order: int


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
    folio_list, non_hvo = machine.kernel_data(lists.SIZE), machine.kernel_data(lists.SIZE)

    def link(folios: list[int]) -> None:
        for head in (folio_list, non_hvo):
            lists.init(cpu, head)
        for pfn in folios:
            lists.add_tail(cpu, machine.struct_pages.va(pfn) + layout.lru_next, folio_list)

    for order, folios in _by_order(plan.restored):
        link(folios)
        hvo.restore_folios(FolioOrder(order), folio_list, non_hvo)
    for order, folios in _by_order(plan.optimized):
        for pfn in folios:
            prepare_folio(machine, pfn, order)
        link(folios)
        hvo.optimize_folios(FolioOrder(order), folio_list)


def _by_order(folios: tuple[Folio, ...]) -> list[tuple[int, list[int]]]:
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
