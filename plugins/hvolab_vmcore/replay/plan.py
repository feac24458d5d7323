"""What a kernel did between two cores, and doing it again with the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.hvo import HvoEngine
from hvolab.machine.struct_pages import lists
from hvolab_vmcore.replay.machine import CoreMachine
from hvolab_vmcore.replay.prepare import prepare_folio
from hvolab_vmcore.scan.scan import Scan

Folio = tuple[int, int]  #: PFN of the head and order


@dataclass(frozen=True)
class Size:
    """What the engine needs of an hstate."""

    order: int


@dataclass(frozen=True)
class Plan:
    """What the kernel did between two cores, as far as the second tells; folios by PFN."""

    restored: tuple[Folio, ...]
    optimized: tuple[Folio, ...]


def plan_of(start: Scan, end: Scan) -> Plan:
    """What happened in between: read off the folios that are optimized in one core and not in the other.

    One that is optimized in both, with another head frame, was restored and optimized again.
    """
    before, after = _optimized(start), _optimized(end)
    again = {folio for folio in before.keys() & after.keys() if before[folio] != after[folio]}
    return Plan(
        restored=tuple(sorted((before.keys() - after.keys()) | again)),
        optimized=tuple(sorted((after.keys() - before.keys()) | again)),
    )


def carry_out(hvo: HvoEngine, plan: Plan) -> None:
    """Restore and optimize as hugetlb would: in batches of one size, by ascending PFN.

    Folios are restored first: memory that changes its size is freed before it is taken again.
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
        hvo.restore_folios(Size(order), folio_list, non_hvo)
    for order, folios in _by_order(plan.optimized):
        for pfn in folios:
            prepare_folio(machine, pfn, order)
        link(folios)
        hvo.optimize_folios(Size(order), folio_list)


def _by_order(folios: tuple[Folio, ...]) -> list[tuple[int, list[int]]]:
    """The PFNs of each order."""
    orders = sorted({order for _, order in folios})
    return [(order, [pfn for pfn, its in folios if its == order]) for order in orders]


def _optimized(scan: Scan) -> dict[Folio, int]:
    """The optimized folios, each with its head's frame."""
    found = {}
    for huge in scan.huge_pages:
        chosen = np.flatnonzero(huge.optimized)
        frames = scan.pages.frames[huge.rows[chosen]]
        found.update(
            {(pfn, huge.order): frame for pfn, frame in zip(huge.pfns[chosen].tolist(), frames.tolist(), strict=True)}
        )
    return found


def make_up_heads(core: CoreMachine, start: Scan, plan: Plan) -> frozenset[Folio]:
    """Give folios whose head page is not in the core an empty one; tell which those are."""
    machine = core.machine
    memory, size = machine.memory, machine.struct_pages.layout.size
    made = set()
    for pfn, order in sorted({*plan.restored, *plan.optimized}):
        number = np.array([pfn * size >> memory.page_shift], dtype=np.int64)
        frame = int(start.pages.frames_of(number)[0])
        index = frame - memory.first_pfn
        if memory.present is not None and 0 <= index < memory.frames and not memory.present[index]:
            memory.present[index] = True
            prepare_folio(machine, pfn, order)
            layout = machine.struct_pages.layout
            machine.struct_pages.set_words(
                np.array([pfn]),
                layout.private,
                1 << layout.hpg_vmemmap_optimized if (pfn, order) in plan.restored else 0,
            )
            made.add((pfn, order))
    return frozenset(made)
