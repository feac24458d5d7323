"""Does with the engine what a kernel did between two cores, and compares what both left."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from hvolab.errors import UsageError
from hvolab.hvo import Hvo
from hvolab.machine import Machine, lists

from .compare_entries import compare_entries
from .compare_struct_pages import StructPageComparison
from .differences import Difference, LeftOut
from .machine import CoreMachine, machine_from
from .options import SnapshotOptions
from .prepare import prepare_folio
from .scan import Scan, scan
from .snapshot import Snapshot, open_snapshot

Folio = tuple[int, int]  #: PFN of the head and order


@dataclass(frozen=True)
class Size:
    """What the engine needs of an hstate."""

    order: int


@dataclass(frozen=True)
class Plan:
    """What the kernel did between two cores, as far as the second tells; folios by PFN."""

    restored: tuple[Folio, ...]
    optimised: tuple[Folio, ...]


@dataclass(frozen=True)
class Replay:
    """The outcome.

    scan                    the core before
    plan                    what was done again
    entries_compared        entries of all levels that either side uses
    struct_pages_compared   struct pages, each as often as the vmemmap shows it
    differences             the first differences
    differences_found       how many there are
    left_out                what was not compared
    """

    scan: Scan
    plan: Plan
    entries_compared: int
    struct_pages_compared: int
    differences: tuple[Difference, ...]
    differences_found: int
    left_out: tuple[LeftOut, ...]

    def as_dict(self) -> dict[str, Any]:
        """The outcome for JSON. The keys are stable."""
        target, page_size = self.scan.snapshot.target, self.scan.snapshot.target.mode.page_size
        return {
            "architecture": target.architecture.name,
            "mode": target.mode.name,
            "features": list(target.features),
            "kernel": self.scan.snapshot.kernel,
            "folios": [
                {"pfn": hex(pfn), "order": order, "size": page_size << order, "action": action}
                for action, folios in (("restored", self.plan.restored), ("optimised", self.plan.optimised))
                for pfn, order in folios
            ],
            "entries_compared": self.entries_compared,
            "struct_pages_compared": self.struct_pages_compared,
            "differences": [difference.as_dict() for difference in self.differences],
            "differences_found": self.differences_found,
            "left_out": [one.as_dict() for one in self.left_out],
        }


def replay(
    before: str | os.PathLike[str], after: str | os.PathLike[str], options: SnapshotOptions | None = None
) -> Replay:
    """Replay what the kernel did between the cores ``before`` and ``after``.

    Raises UsageError for cores that are not of one boot of one kernel, and what reading and scanning them raises.
    """
    first, last = open_snapshot(before, options), open_snapshot(after, options)
    _refuse_strangers(first, last)
    start, end = scan(first), scan(last)
    plan = plan_of(start, end)
    core = machine_from(start)
    absent = _make_up_heads(core, start, plan)
    carry_out(core.machine, plan)
    done = scan(core.snapshot)
    entries = compare_entries(start, done, end)
    pages = StructPageComparison(done, end, plan.restored).compare()
    left_out = [*entries.left_out, *pages.left_out, *_assumed(core, absent)]
    differences = (*entries.differences, *pages.differences)
    found = entries.found + pages.found
    return Replay(start, plan, entries.compared, pages.compared, differences, found, tuple(left_out))


def plan_of(start: Scan, end: Scan) -> Plan:
    """What happened in between: read off the folios that are optimised in one core and not in the other.

    One that is optimised in both, with another head frame, was restored and optimised again.
    """
    before, after = _optimised(start), _optimised(end)
    again = {folio for folio in before.keys() & after.keys() if before[folio] != after[folio]}
    return Plan(
        restored=tuple(sorted((before.keys() - after.keys()) | again)),
        optimised=tuple(sorted((after.keys() - before.keys()) | again)),
    )


def carry_out(machine: Machine, plan: Plan) -> None:
    """Restore and optimise as hugetlb would: in batches of one size, by ascending PFN.

    Folios are restored first: memory that changes its size is freed before it is taken again.
    """
    hvo = Hvo(machine)
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
    for order, folios in _by_order(plan.optimised):
        for pfn in folios:
            prepare_folio(machine, pfn, order)
        link(folios)
        hvo.optimize_folios(Size(order), folio_list)


def _by_order(folios: tuple[Folio, ...]) -> list[tuple[int, list[int]]]:
    """The PFNs of each order."""
    orders = sorted({order for _, order in folios})
    return [(order, [pfn for pfn, its in folios if its == order]) for order in orders]


def _optimised(scan: Scan) -> dict[Folio, int]:
    """The optimised folios, each with its head's frame."""
    found = {}
    for huge in scan.huge_pages:
        chosen = np.flatnonzero(huge.optimised)
        frames = scan.pages.frames[huge.rows[chosen]]
        found.update(
            {(pfn, huge.order): frame for pfn, frame in zip(huge.pfns[chosen].tolist(), frames.tolist(), strict=True)}
        )
    return found


def _refuse_strangers(first: Snapshot, last: Snapshot) -> None:
    """Refuse two cores that are not of one boot of one kernel."""
    infos = (first.core.vmcoreinfo, last.core.vmcoreinfo)
    builds = [None if info is None else info.raw.get("BUILD-ID") for info in infos]
    for what, ours, theirs in (
        ("architectures", first.target.architecture.name, last.target.architecture.name),
        ("kernels", first.kernel or "unknown", last.kernel or "unknown"),
        ("builds of the kernel", builds[0] or "unknown", builds[1] or "unknown"),
        ("paging modes", first.target.mode.name, last.target.mode.name),
        ("root tables", hex(first.tables.root), hex(last.tables.root)),
        ("places of the vmemmap", hex(first.vmemmap), hex(last.vmemmap)),
        ("features", ", ".join(first.target.features) or "none", ", ".join(last.target.features) or "none"),
        ("layouts of struct page", str(first.struct_pages.layout), str(last.struct_pages.layout)),
    ):
        if ours != theirs:
            raise UsageError(
                f"the cores have different {what}: {ours} and {theirs}",
                where=f"{first.core.path} and {last.core.path}",
                rule="only what one kernel did between two cores can be replayed",
                remedy="give two cores of the same boot, the earlier one first",
            )


def _make_up_heads(core: CoreMachine, start: Scan, plan: Plan) -> int:
    """Give folios whose head page is not in the core an empty one; tell how many there are."""
    machine = core.machine
    memory, size = machine.memory, machine.struct_pages.layout.size
    made = 0
    for pfn, order in sorted({*plan.restored, *plan.optimised}):
        number = np.array([pfn * size >> memory.page_shift], dtype=np.int64)
        frame = int(start.pages.frames_of(number)[0])
        index = frame - memory.first_pfn
        if memory.present is not None and 0 <= index < memory.frames and not memory.present[index]:
            memory.present[index] = True
            prepare_folio(machine, pfn, order)
            layout = machine.struct_pages.layout
            machine.struct_pages.set_words(
                np.array([pfn]), layout.private, 1 << layout.hpg_vmemmap_optimized if (pfn, order) in plan.restored
                else 0,
            )
            made += 1
    return made


def _assumed(core: CoreMachine, heads: int) -> list[LeftOut]:
    """What the replay took for granted, and what two cores cannot tell at all."""
    found = []
    if core.records.assumed:
        found.append(
            LeftOut("records of frames behind the vmemmap", len(core.records.assumed),
                    "their struct pages are not in the core: they are taken for boot (reserved) memory, not self-hosted")
        )
    if heads:
        found.append(LeftOut("contents of head pages", heads, "they are not in the core before: empty ones stand in"))
    found.append(LeftOut("order of steps, allocations and flushes", 0, "two cores show states, not what lies between"))
    found.append(LeftOut("counters of vmemmap pages", 0, "cores of physical memory do not hold them where they are found"))
    found.append(
        LeftOut("other words of struct pages", 0, "hugetlb and the page allocator wrote them between the cores as well")
    )
    return found
