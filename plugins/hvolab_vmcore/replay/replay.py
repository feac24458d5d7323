# SPDX-License-Identifier: GPL-2.0-only
"""Replay of two cores: an engine repeats what a kernel did between them, and the results are compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Literal

from hvolab.errors import CoreFileError, KernelBug, UsageError
from hvolab.hvo import Hvo, HvoEngine
from hvolab.machine import CpuMaker, Machine, use_cpus
from hvolab.release import KernelRelease
from hvolab.scenario import Recorder, as_findings
from hvolab_vmcore.core.releases import ReleaseChoice
from hvolab_vmcore.core.snapshot import CoreSnapshot, SnapshotOptions, open_snapshot
from hvolab_vmcore.replay.comparison import Omission, ReplayDifference
from hvolab_vmcore.replay.entry_comparison import compare_entries
from hvolab_vmcore.replay.machine import CoreMachine, build_core_machine
from hvolab_vmcore.replay.placeholder_pages import add_placeholder_heads, placeholder_struct_pages
from hvolab_vmcore.replay.plan import Folio, ReplayPlan, execute, plan_of
from hvolab_vmcore.replay.struct_page_comparison import compare_struct_pages
from hvolab_vmcore.scan.huge_pages import Sharing
from hvolab_vmcore.scan.ownership import shared_frames
from hvolab_vmcore.scan.releases import as_release, with_choice
from hvolab_vmcore.scan.scan import Scan, scan

#: Conclusion of a replay.
Verdict = Literal["no differences", "differences", "cannot tell"]
_EngineMaker = Callable[[Machine], HvoEngine]
_NOT_SHOWN = (
    Omission("order of steps, allocations and flushes", 0, "two cores show states, not the steps between them"),
    Omission("counters of vmemmap pages", 0, "a core does not contain their address"),
    Omission("other words of struct pages", 0, "hugetlb and the page allocator also wrote them between the cores"),
)


@dataclass(frozen=True)
class Replay:
    """Result of a replay.

    scan                   the core before
    unsaved                parts of the two cores that were not saved and that decide what is compared, in sentences
    plan                   the operations
    release                kernel release of the engine
    entries_compared       number of entries of all levels that either side uses
    struct_pages_compared  number of struct pages, each counted once for every VA that maps it
    differences            the first differences
    differences_found      number of all differences
    left_out               omissions
    """

    scan: Scan
    unsaved: tuple[str, ...]
    plan: ReplayPlan
    release: KernelRelease
    entries_compared: int
    struct_pages_compared: int
    differences: tuple[ReplayDifference, ...]
    differences_found: int
    left_out: tuple[Omission, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict: `cannot tell` where there are no differences, but parts that decide were not saved."""
        return "differences" if self.differences_found else "cannot tell" if self.unsaved else "no differences"

    @property
    def choice(self) -> ReleaseChoice:
        """Release of the cores, and why it was chosen."""
        return self.scan.snapshot.choice


def replay(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: SnapshotOptions | None = None,
    *,
    cpu: CpuMaker | None = None,
    engine: _EngineMaker | None = None,
    recorder: Recorder | None = None,
) -> Replay:
    """Repeat what the kernel did between the cores ``before`` and ``after``, and compare the results.

    The release is the one that both cores show; if they fit several, or its model differs, the one whose model leaves
    the bytes of the core after.

    cpu     makes the machine's CPUs; ``None``: modeled ones
    engine  makes the HVO engine; ``None``: the model of the cores' release
    recorder  recorder of the operations, which are executed once more with the release of the result
    Raises UsageError for cores of different boots or kernels, and all errors of reading and scanning them.
    """
    first, last = open_snapshot(before, options), open_snapshot(after, options)
    _check_same_boot(first, last)
    start, end = scan(first), scan(last)
    _check_modeled(start, end)
    start, end = with_choice(start, end), with_choice(end, start)

    def run(choice: ReleaseChoice) -> Replay:
        # an execution changes the memory of the core before, so that each reads it again
        again = start if choice is start.snapshot.choice else as_release(scan(open_snapshot(before, options)), choice)
        execution = _execute(again, end, cpu, engine)
        return _compare(execution, as_release(end, choice))

    choice, result = start.snapshot.choice, run(start.snapshot.choice)
    if engine is None and not choice.named and result.plan.folios:
        result = _of_fitting_release(choice, result, run)
    if recorder is not None:
        again = as_release(scan(open_snapshot(before, options)), result.choice)
        _execute(again, as_release(end, result.choice), cpu, engine, recorder)
        for one in result.differences:
            recorder.mark(f"{one.kind} at VA {one.va:#x}: {one.text}; engine {one.engine}, kernel {one.kernel}")
    return result


def _of_fitting_release(choice: ReleaseChoice, result: Replay, run: Callable[[ReleaseChoice], Replay]) -> Replay:
    """Return the result of the release whose model comes closest to the bytes of the core after.

    Releases that the cores do not distinguish are run where a restore may do so. Where each of these models differs,
    those that one more fact contradicts are run, too.
    """
    others = choice.as_well if result.differences_found or result.plan.restored or result.plan.passing else ()
    results = {choice.release: result}
    for other in choice.close:
        if other in others or all(each.differences_found for each in results.values()):
            with suppress(KernelBug):  # code of this release stops here: it is not the kernel's
                results[other] = run(replace(choice, release=other))
    fewest = min(each.differences_found for each in results.values())
    best, *alike = [release for release, each in results.items() if each.differences_found == fewest]
    counts = ", ".join(f"{release}: {each.differences_found}" for release, each in results.items())
    reason = f"its model comes closest to the core after; differences of each model: {counts}"
    decided = replace(
        choice,
        release=best,
        fits=choice.fits if len(alike) + 1 == len(results) else (*choice.fits, reason),
        as_well=tuple(release for release in alike if release in choice.as_well) if others else choice.as_well,
    )
    chosen = results[best]
    return replace(chosen, scan=replace(chosen.scan, snapshot=replace(chosen.scan.snapshot, choice=decided)))


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


def _execute(
    start: Scan, end: Scan, cpu: CpuMaker | None, engine: _EngineMaker | None, recorder: Recorder | None = None
) -> _Execution:
    """Build a machine from the core before and execute the plan on it."""
    _check_ownership(start)
    plan = plan_of(start, end)
    core = build_core_machine(start)
    if cpu is not None:
        use_cpus(core.machine, cpu)
    placeholder_heads = add_placeholder_heads(core, start, plan)
    make: _EngineMaker = Hvo if engine is None else engine
    # a kernel's own code reads and writes struct pages of all frames, the model only those of page tables
    writes = engine is not None or start.snapshot.target.release.variant.marks_tables
    if recorder is not None:
        recorder.watch(core.machine)
        recorder.mark("at rest: the core before")
    with placeholder_struct_pages(core, start, plan) if writes else nullcontext():
        with as_findings(core.machine, in_engine=False, own_engine=engine is None):
            hvo = make(core.machine)
        with as_findings(core.machine, in_engine=True, own_engine=engine is None):
            execute(hvo, plan) if recorder is None else execute(hvo, plan, recorder.mark)
    return _Execution(start, core, plan, placeholder_heads, hvo.release, scan(core.snapshot))


def _compare(execution: _Execution, end: Scan) -> Replay:
    """Compare the machine after the execution with the core after."""
    entries = compare_entries(execution.start, execution.end, end, execution.plan.passing)
    pages = compare_struct_pages(execution.end, end, execution.plan, execution.placeholder_heads)
    return Replay(
        scan=execution.start,
        unsaved=tuple(_unsaved(execution.start, end)),
        plan=execution.plan,
        release=execution.release,
        entries_compared=entries.compared,
        struct_pages_compared=pages.compared,
        differences=(*entries.differences, *pages.differences),
        differences_found=entries.found + pages.found,
        left_out=(*entries.left_out, *pages.left_out, *_omissions(execution)),
    )


def _unsaved(*scans: Scan) -> Iterator[str]:
    """Yield what was not saved of each core where it decides the state of a huge page."""
    for one in scans:
        if (unsaved := one.unsaved).decisive:
            pages = sum(unsaved.blocks.values()) + unsaved.bits
            yield (
                f"{one.snapshot.core.path}: page tables of the vmemmap: {len(unsaved.tables)}, "
                f"huge pages whose state depends on what was not saved: up to {pages}"
            )


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


def _check_modeled(*scans: Scan) -> None:
    """Raise UsageError for a kernel whose optimized huge pages no modeled release makes."""
    for one in scans:
        if any(huge.with_sharing(Sharing.SECOND).any() for huge in one.huge_pages):
            raise UsageError(
                "the kernel keeps two pages of vmemmap of an optimized huge page, and no modeled release does",
                where=str(one.snapshot.core.path),
                rule="RESERVE_VMEMMAP_NR in mm/hugetlb_vmemmap.c was 2 before v5.18",
                hint="`hvolab inspect` counts and checks them; `hvolab releases` lists the releases",
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
