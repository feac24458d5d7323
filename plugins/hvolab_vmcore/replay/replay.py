"""Does with the engine what a kernel did between two cores, and compares what both left."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hvolab.errors import CoreFileError, UsageError
from hvolab.hvo import V6_12, Hvo, HvoEngine, HvoVariant
from hvolab.machine import CpuMaker, Machine, use_cpus
from hvolab_vmcore.core.options import SnapshotOptions
from hvolab_vmcore.core.snapshot import CoreSnapshot, open_snapshot
from hvolab_vmcore.replay.compare_entries import compare_entries
from hvolab_vmcore.replay.compare_struct_pages import StructPageComparison, contents
from hvolab_vmcore.replay.differences import LeftOut, ReplayDifference
from hvolab_vmcore.replay.machine import CoreMachine, machine_from
from hvolab_vmcore.replay.plan import Plan, carry_out, make_up_heads, plan_of
from hvolab_vmcore.replay.stub_pages import StubStructPages
from hvolab_vmcore.scan.owners import shared_frames
from hvolab_vmcore.scan.scan import Scan, scan

#: Makes who does HVO's work on a machine.
_Maker = Callable[[Machine], HvoEngine]


@dataclass(frozen=True)
class Replay:
    """The outcome.

    scan                    the core before
    plan                    what was done again
    variant                 of HVO that did it
    entries_compared        entries of all levels that either side uses
    struct_pages_compared   struct pages, each as often as the vmemmap shows it
    differences             the first differences
    differences_found       how many there are
    differences_of_variant  how many of them a model of that variant makes too, and one of v6.12 does not
    left_out                what was not compared
    """

    scan: Scan
    plan: Plan
    variant: HvoVariant
    entries_compared: int
    struct_pages_compared: int
    differences: tuple[ReplayDifference, ...]
    differences_found: int
    differences_of_variant: int
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
                for action, folios in (("restored", self.plan.restored), ("optimized", self.plan.optimized))
                for pfn, order in folios
            ],
            "entries_compared": self.entries_compared,
            "struct_pages_compared": self.struct_pages_compared,
            "differences": [difference.as_dict() for difference in self.differences],
            "differences_found": self.differences_found,
            "variant": self.variant.name,
            "differences_of_variant": self.differences_of_variant,
            "left_out": [one.as_dict() for one in self.left_out],
        }


def replay(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: SnapshotOptions | None = None,
    *,
    cpu: CpuMaker | None = None,
    engine: _Maker | None = None,
) -> Replay:
    """Replay what the kernel did between the cores ``before`` and ``after``.

    ``cpu`` makes the machine's CPUs; ``None``: modeled ones. ``engine`` makes who does the work, as a kernel's own
    code; ``None``: hvolab's engine.
    Raises UsageError for cores that are not of one boot of one kernel, and what reading and scanning them raises.
    """
    first, last = open_snapshot(before, options), open_snapshot(after, options)
    _refuse_strangers(first, last)
    end = scan(last)
    done = _do_again(first, end, cpu, engine)
    outcome = _outcome(done, end)
    if not outcome.differences_found or done.variant is V6_12:
        return outcome

    def model(variant: HvoVariant) -> _Done:
        return _do_again(open_snapshot(before, options), end, None, lambda machine: Hvo(machine, variant=variant))

    return _explained(outcome, done, model(done.variant), _outcome(model(V6_12), end))


@dataclass(frozen=True)
class _Done:
    """What was done again: from which core, what, by HVO of which variant, and what that left."""

    start: Scan
    core: CoreMachine
    plan: Plan
    made_up: frozenset[tuple[int, int]]
    variant: HvoVariant
    left: Scan


def _do_again(first: CoreSnapshot, end: Scan, cpu: CpuMaker | None, engine: _Maker | None) -> _Done:
    start = scan(first)
    _refuse_shared_frames(start)
    plan = plan_of(start, end)
    core = machine_from(start)
    if cpu is not None:
        use_cpus(core.machine, cpu)
    made_up = make_up_heads(core, start, plan)
    if engine is None:
        variant = V6_12
        carry_out(Hvo(core.machine), plan)
    else:
        with StubStructPages(core, start, plan):
            hvo = engine(core.machine)
            variant = hvo.variant
            carry_out(hvo, plan)
    return _Done(start, core, plan, made_up, variant, scan(core.snapshot))


def _outcome(done: _Done, end: Scan) -> Replay:
    entries = compare_entries(done.start, done.left, end)
    pages = StructPageComparison(done.left, end, done.plan.restored, done.made_up).compare()
    left_out = [*entries.left_out, *pages.left_out, *_assumed(done.core, len(done.made_up))]
    differences = (*entries.differences, *pages.differences)
    found = entries.found + pages.found
    return Replay(
        done.start, done.plan, done.variant, entries.compared, pages.compared, differences, found, 0, tuple(left_out)
    )


def _explained(outcome: Replay, done: _Done, model: _Done, usual: Replay) -> Replay:
    """The outcome with the differences named that are its variant's, and not the engine's.

    A model of that variant must leave what was left, page by page, or none of them is; and what v6.12 leaves otherwise
    than the core too is no difference of variant.
    """
    if not _alike(done, model) or usual.differences_found > len(usual.differences):
        return outcome
    known = {(one.kind, one.va, one.kernel) for one in usual.differences}
    differences = tuple(
        one if (one.kind, one.va, one.kernel) in known else replace(one, variant=done.variant.name)
        for one in outcome.differences
    )
    told_all = outcome.differences_found == len(differences)
    others = sum(not one.variant for one in differences) if told_all else len(known)
    return replace(outcome, differences=differences, differences_of_variant=outcome.differences_found - others)


def _alike(ours: _Done, other: _Done) -> bool:
    """Whether both left the same entries, up to a renaming of frames, and the same bytes of every folio's vmemmap."""
    if compare_entries(ours.start, ours.left, other.left).found:
        return False
    size, shift = ours.core.machine.struct_pages.layout.size, ours.left.pages.shift
    for pfn, order in (*ours.plan.restored, *ours.plan.optimized):
        numbers = (pfn * size >> shift) + np.arange(max(1, size << order >> shift), dtype=np.int64)
        if not np.array_equal(contents(ours.left, numbers), contents(other.left, numbers)):
            return False
    return True


def _refuse_strangers(first: CoreSnapshot, last: CoreSnapshot) -> None:
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
                hint="give two cores of the same boot, the earlier one first",
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
            hint="see what `hvolab inspect` says of it, and start from an earlier core",
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
