# SPDX-License-Identifier: GPL-2.0-only
"""Replay of two cores: an engine repeats what a kernel did between them, and the results are compared."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hvolab.errors import CoreFileError, UsageError
from hvolab.hvo import Hvo, HvoEngine
from hvolab.machine import CpuMaker, Machine, use_cpus
from hvolab.release import DEFAULT, KernelRelease
from hvolab.serialize import as_data
from hvolab_vmcore.core.snapshot import CoreSnapshot, SnapshotOptions, open_snapshot
from hvolab_vmcore.replay.comparison import Omission, ReplayDifference
from hvolab_vmcore.replay.entry_comparison import compare_entries
from hvolab_vmcore.replay.machine import CoreMachine, build_core_machine
from hvolab_vmcore.replay.placeholder_pages import add_placeholder_heads, placeholder_struct_pages
from hvolab_vmcore.replay.plan import Folio, ReplayPlan, execute, plan_of
from hvolab_vmcore.replay.struct_page_comparison import compare_struct_pages, contents
from hvolab_vmcore.scan.ownership import shared_frames
from hvolab_vmcore.scan.scan import Scan, scan

_EngineMaker = Callable[[Machine], HvoEngine]
_NOT_SHOWN = (
    Omission("order of steps, allocations and flushes", 0, "two cores show states, not the steps between them"),
    Omission("counters of vmemmap pages", 0, "a core does not contain their address"),
    Omission("other words of struct pages", 0, "hugetlb and the page allocator also wrote them between the cores"),
)


@dataclass(frozen=True)
class Replay:
    """Result of a replay.

    scan                    the core before
    plan                    the operations
    release                 kernel release of the engine
    entries_compared        number of entries of all levels that either side uses
    struct_pages_compared   number of struct pages, each counted once for every VA that maps it
    differences             the first differences
    differences_found       number of all differences
    differences_of_variant  number of those that a model of the engine's variant has too, and a model of v6.12 has not
    left_out                omissions
    """

    scan: Scan
    plan: ReplayPlan
    release: KernelRelease
    entries_compared: int
    struct_pages_compared: int
    differences: tuple[ReplayDifference, ...]
    differences_found: int
    differences_of_variant: int
    left_out: tuple[Omission, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON. The keys are stable."""
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
            "differences": as_data(self.differences),
            "differences_found": self.differences_found,
            "variant": self.release.name,
            "differences_of_variant": self.differences_of_variant,
            "left_out": as_data(self.left_out),
        }


def replay(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: SnapshotOptions | None = None,
    *,
    cpu: CpuMaker | None = None,
    engine: _EngineMaker | None = None,
) -> Replay:
    """Repeat what the kernel did between the cores ``before`` and ``after``, and compare the results.

    cpu     makes the machine's CPUs; ``None``: modeled ones
    engine  makes the HVO engine; ``None``: the model of v6.12
    Raises UsageError for cores of different boots or kernels, and all errors of reading and scanning them.
    """
    first, last = open_snapshot(before, options), open_snapshot(after, options)
    _check_same_boot(first, last)
    end = scan(last)
    execution = _execute(first, end, cpu, engine)
    result = _compare(execution, end)
    if not result.differences_found or execution.release is DEFAULT:
        return result

    def model(release: KernelRelease) -> _Execution:
        return _execute(open_snapshot(before, options), end, None, lambda machine: Hvo(machine, release=release))

    return _with_variant_differences(result, execution, model(execution.release), _compare(model(DEFAULT), end))


@dataclass(frozen=True)
class _Execution:
    """Execution of a plan on a machine built from the core before.

    start              scan of the core before
    core               the machine
    plan               the operations
    placeholder_heads  folios whose head page is a placeholder
    release            kernel release of the engine
    end                scan of the machine afterwards
    """

    start: Scan
    core: CoreMachine
    plan: ReplayPlan
    placeholder_heads: frozenset[Folio]
    release: KernelRelease
    end: Scan


def _execute(first: CoreSnapshot, end: Scan, cpu: CpuMaker | None, engine: _EngineMaker | None) -> _Execution:
    """Build a machine from the core before and execute the plan on it."""
    start = scan(first)
    _check_ownership(start)
    plan = plan_of(start, end)
    core = build_core_machine(start)
    if cpu is not None:
        use_cpus(core.machine, cpu)
    placeholder_heads = add_placeholder_heads(core, start, plan)
    if engine is None:
        release = DEFAULT
        execute(Hvo(core.machine), plan)
    else:
        with placeholder_struct_pages(core, start, plan):
            hvo = engine(core.machine)
            release = hvo.release
            execute(hvo, plan)
    return _Execution(start, core, plan, placeholder_heads, release, scan(core.snapshot))


def _compare(execution: _Execution, end: Scan) -> Replay:
    """Compare the machine after the execution with the core after."""
    entries = compare_entries(execution.start, execution.end, end)
    pages = compare_struct_pages(execution.end, end, execution.plan.restored, execution.placeholder_heads)
    return Replay(
        scan=execution.start,
        plan=execution.plan,
        release=execution.release,
        entries_compared=entries.compared,
        struct_pages_compared=pages.compared,
        differences=(*entries.differences, *pages.differences),
        differences_found=entries.found + pages.found,
        differences_of_variant=0,
        left_out=(*entries.left_out, *pages.left_out, *_omissions(execution)),
    )


def _with_variant_differences(result: Replay, execution: _Execution, model: _Execution, baseline: Replay) -> Replay:
    """Return the result with the differences marked that are due to the engine's variant.

    If the model of that variant did not leave the same bytes as the engine, no difference is marked. A difference
    that the model of v6.12 (``baseline``) has too is not marked.
    """
    if not _same_result(execution, model) or baseline.differences_found > len(baseline.differences):
        return result
    known = {(one.kind, one.va, one.kernel) for one in baseline.differences}
    differences = tuple(
        one if (one.kind, one.va, one.kernel) in known else replace(one, variant=execution.release.name)
        for one in result.differences
    )
    complete = result.differences_found == len(differences)
    others = sum(not one.variant for one in differences) if complete else len(known)
    return replace(result, differences=differences, differences_of_variant=result.differences_found - others)


def _same_result(ours: _Execution, other: _Execution) -> bool:
    """Return whether both left the same entries modulo frame numbers, and the same bytes in all folios' vmemmap."""
    if compare_entries(ours.start, ours.end, other.end).found:
        return False
    size, shift = ours.core.machine.struct_pages.layout.size, ours.end.pages.shift
    for pfn, order in (*ours.plan.restored, *ours.plan.optimized):
        numbers = (pfn * size >> shift) + np.arange(max(1, size << order >> shift), dtype=np.int64)
        if not np.array_equal(contents(ours.end, numbers), contents(other.end, numbers)):
            return False
    return True


def _check_same_boot(first: CoreSnapshot, last: CoreSnapshot) -> None:
    """Raise UsageError for cores of different boots or kernels."""
    infos = (first.core.vmcoreinfo, last.core.vmcoreinfo)
    builds = [None if info is None else info.raw.get("BUILD-ID") for info in infos]
    for what, ours, theirs in (
        ("architectures", first.target.architecture.name, last.target.architecture.name),
        ("kernels", first.kernel or "unknown", last.kernel or "unknown"),
        ("builds of the kernel", builds[0] or "unknown", builds[1] or "unknown"),
        ("paging modes", first.target.mode.name, last.target.mode.name),
        ("root tables", hex(first.tables.root), hex(last.tables.root)),
        ("VAs of the vmemmap", hex(first.vmemmap), hex(last.vmemmap)),
        ("features", ", ".join(first.target.features) or "none", ", ".join(last.target.features) or "none"),
        ("layouts of struct page", str(first.struct_pages.layout), str(last.struct_pages.layout)),
    ):
        if ours != theirs:
            raise UsageError(
                f"the cores have different {what}: {ours} and {theirs}",
                where=f"{first.core.path} and {last.core.path}",
                rule="a replay needs two cores of the same boot",
                hint="give two cores of the same boot, the earlier one first",
            )


def _check_ownership(start: Scan) -> None:
    """Raise CoreFileError for memory in which a store to one page changes another, or a page table."""
    for row, other in shared_frames(start.walk, start.pages, start.huge_pages)[:1]:
        level = start.walk.levels[int(start.pages.depths[row])].level
        entry = start.snapshot.target.describe(level.name, int(start.pages.raws[row]))
        raise CoreFileError(
            f"the core before is broken: frame {int(start.pages.frames[row]):#x} is {other} as well",
            where=f"{start.snapshot.core.path}, VA {start.pages.va(row):#x}, {entry}",
            rule="every frame has one owner",
            hint="run `hvolab inspect` on it, and start from an earlier core",
        )


def _omissions(execution: _Execution) -> list[Omission]:
    """Return the assumptions of a replay, and what two cores do not show."""
    assumed, added = len(execution.core.records.assumed), len(execution.placeholder_heads)
    boot = "their struct pages are not in the core: assumed to be boot (reserved) memory that is not self-hosted"
    placeholder = "their head page is not in the core before: an empty placeholder is used"
    counted = (
        Omission("records of frames behind the vmemmap", assumed, boot),
        Omission("struct pages of huge pages", added, placeholder),
    )
    return [*(one for one in counted if one.count), *_NOT_SHOWN]
