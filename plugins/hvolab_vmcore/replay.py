"""Does with the engine what a kernel did between two cores, and compares what both left."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from hvolab.errors import CoreFileError, UsageError
from hvolab.machine import CpuMaker, use_cpus

from .compare_entries import compare_entries
from .compare_struct_pages import StructPageComparison
from .differences import Difference, LeftOut
from .machine import CoreMachine, machine_from
from .options import SnapshotOptions
from .owners import shared_frames
from .plan import Plan, carry_out, make_up_heads, plan_of
from .scan import Scan, scan
from .snapshot import Snapshot, open_snapshot


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
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: SnapshotOptions | None = None,
    *,
    cpu: CpuMaker | None = None,
) -> Replay:
    """Replay what the kernel did between the cores ``before`` and ``after``.

    ``cpu`` makes the machine's CPUs; ``None``: modelled ones.
    Raises UsageError for cores that are not of one boot of one kernel, and what reading and scanning them raises.
    """
    first, last = open_snapshot(before, options), open_snapshot(after, options)
    _refuse_strangers(first, last)
    start, end = scan(first), scan(last)
    _refuse_shared_frames(start)
    plan = plan_of(start, end)
    core = machine_from(start)
    if cpu is not None:
        use_cpus(core.machine, cpu)
    made_up = make_up_heads(core, start, plan)
    carry_out(core.machine, plan)
    done = scan(core.snapshot)
    entries = compare_entries(start, done, end)
    pages = StructPageComparison(done, end, plan.restored, made_up).compare()
    left_out = [*entries.left_out, *pages.left_out, *_assumed(core, len(made_up))]
    differences = (*entries.differences, *pages.differences)
    found = entries.found + pages.found
    return Replay(start, plan, entries.compared, pages.compared, differences, found, tuple(left_out))


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


def _refuse_shared_frames(start: Scan) -> None:
    """Refuse to go on from memory in which a store to one page could change another, or a page table."""
    for row, other in shared_frames(start.walk, start.pages, start.huge_pages)[:1]:
        level = start.walk.levels[int(start.pages.depths[row])].level
        entry = start.snapshot.target.describe(level.name, int(start.pages.raws[row]))
        raise CoreFileError(
            f"the core before is broken: frame {int(start.pages.frames[row]):#x} is {other} as well",
            where=f"{start.snapshot.core.path}, VA {start.pages.va(row):#x}, {entry}",
            rule="every frame has one owner",
            remedy="see what `hvolab inspect` says of it, and start from an earlier core",
        )


def _assumed(core: CoreMachine, heads: int) -> list[LeftOut]:
    """What the replay took for granted, and what two cores cannot tell at all."""
    found = []
    if core.records.assumed:
        found.append(
            LeftOut(
                "records of frames behind the vmemmap",
                len(core.records.assumed),
                "their struct pages are not in the core: taken for boot (reserved) memory that is not self-hosted",
            )
        )
    if heads:
        found.append(
            LeftOut(
                "struct pages of huge pages", heads, "their head page is not in the core before: an empty one stands in"
            )
        )
    found.append(LeftOut("order of steps, allocations and flushes", 0, "two cores show states, not what lies between"))
    found.append(LeftOut("counters of vmemmap pages", 0, "a core does not tell where they are"))
    found.append(
        LeftOut("other words of struct pages", 0, "hugetlb and the page allocator wrote them between the cores as well")
    )
    return found
