# SPDX-License-Identifier: GPL-2.0-only
"""Result of a scenario as plain data: the JSON of `hvolab run`. Its schema is in docs/static.

VAs, PFNs and entries are strings of hex in JSON; counts and sizes in bytes are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hvolab.arch.target_data import TargetData, target_as_dict
from hvolab.invariants import Finding
from hvolab.scenario.result import PoolReport, ScenarioResult, Stage
from hvolab.scenario.stores import TailStores
from hvolab.scenario.views import FolioHistory, MappingRun
from hvolab.scenario.work import FailedCall, OperationCounts
from hvolab.serialize import Hex
from hvolab.units import format_short


@dataclass(frozen=True)
class PoolRow:
    """Huge pages of one size.

    size            bytes of each
    name            the same as text
    level, entries  level of the entries that map one, and their number
    order           log2 of its base pages
    requested       pages that were requested
    vmemmap_pages   pages of vmemmap of each
    frames_saved    frames that HVO freed, all huge pages together
    """

    size: int
    name: str
    level: str
    entries: int
    order: int
    requested: int
    pages: int
    pages_per_node: tuple[int, ...]
    free: int
    surplus: int
    optimized: int
    vmemmap_pages: int
    frames_saved: int
    bytes_saved: int


@dataclass(frozen=True)
class MeasuredPool(PoolRow):
    """Huge pages of one size when savings are measured, and the pages that are left at the end."""

    left: int


@dataclass(frozen=True)
class OperationRow:
    """One requested operation, or one of the default ones.

    stage      number and name
    done       pages that it did; null: a finding stopped it
    requested  pages that were requested
    error      errno that stopped it, negative; 0: none
    hugepages  the pools after it
    """

    operation: str
    stage: str
    done: int | None
    requested: int | None
    error: int | None
    hugepages: tuple[PoolRow, ...]


@dataclass(frozen=True)
class StageCounters:
    """Counters of the machine at rest; null: the kernel release has none.

    key          static key hugetlb_optimize_vmemmap_key
    free_frames  free frames of the allocator
    """

    nr_memmap_pages: int | None
    nr_memmap_boot_pages: int | None
    key: int | None
    free_frames: int


@dataclass(frozen=True)
class FrameRange:
    """Frames from the first to the last, both included."""

    first: Hex
    last: Hex


@dataclass(frozen=True)
class FolioRow:
    """Mapping of one folio's vmemmap before and after it was optimized, and at the end; frames freed meanwhile."""

    size: int
    pfn: Hex
    vmemmap_va: Hex
    vmemmap_pages: int
    before: tuple[MappingRun, ...]
    after: tuple[MappingRun, ...]
    restored: tuple[MappingRun, ...]
    freed: tuple[FrameRange, ...]


@dataclass(frozen=True)
class FindingRow:
    """Findings that differ in their place alone: the first of them, and their number.

    declared  whether the architecture's description or the kernel release predicts it
    fault     known fault of the release that makes it; empty: none
    """

    what: str
    where: str
    declared: bool
    fault: str
    rule: str
    number: int
    count: int


@dataclass(frozen=True)
class RunData(TargetData):
    """Result of `hvolab run`.

    hugepages          pools when savings are measured: once optimized, or after the last requested operation
    operations         requested operations in their order; empty: the default ones
    counters           by stage
    work               counts of what HVO did, by operation
    stores             stores to tails
    failed_allocation  the allocation call that was made to fail
    invariants         by stage, whether they hold
    stopped            whether a finding stopped the run before all operations were done
    as_declared        whether the description declares every finding, and the engine warned of nothing
    """

    notes: tuple[str, ...]
    memory: int
    nodes: int
    cpus: int
    vmemmap: str
    hugepages: tuple[MeasuredPool, ...]
    frames_saved: int
    bytes_saved: int
    percent_saved: float
    page_tables_allocated: int
    operations: tuple[OperationRow, ...]
    counters: Mapping[str, StageCounters]
    work: Mapping[str, OperationCounts]
    folios: tuple[FolioRow, ...]
    stores: tuple[TailStores, ...]
    failed_allocation: FailedCall | None
    invariants: Mapping[str, bool]
    findings: tuple[FindingRow, ...]
    warnings: tuple[str, ...]
    stopped: bool
    as_declared: bool


def run_data(result: ScenarioResult) -> RunData:
    """Return a result for JSON."""
    spec, target = result.spec, result.spec.target
    return RunData(
        **target_as_dict(target),
        notes=result.notes,
        memory=spec.memory,
        nodes=spec.nodes,
        cpus=spec.cpus,
        vmemmap=spec.vmemmap.value,
        hugepages=tuple(
            MeasuredPool(**vars(_pool_row(pool)), left=left)
            for pool, left in zip(result.pools, result.left, strict=True)
        ),
        frames_saved=result.frames_saved,
        bytes_saved=result.frames_saved * target.mode.page_size,
        percent_saved=round(result.percent_saved, 2),
        page_tables_allocated=result.page_tables_allocated,
        operations=tuple(_operation_row(stage) for stage in result.stages[1:]) if result.requested else (),
        counters={stage.name: _counters(stage) for stage in result.stages},
        work=result.work,
        folios=tuple(_folio_row(folio) for folio in result.folios),
        stores=result.stores,
        failed_allocation=result.failed,
        invariants={stage.name: not stage.findings for stage in result.stages},
        findings=tuple(_finding_row(*each) for each in result.findings.items()),
        warnings=result.warnings,
        stopped=result.stopped,
        as_declared=result.as_declared,
    )


def _pool_row(pool: PoolReport) -> PoolRow:
    page, sizes = pool.huge_page, pool.sizes
    return PoolRow(
        size=page.size,
        name=format_short(page.size),
        level=page.level,
        entries=page.count,
        order=sizes.order,
        requested=pool.requested,
        pages=pool.pages,
        pages_per_node=pool.per_node,
        free=pool.free,
        surplus=pool.surplus,
        optimized=pool.optimized,
        vmemmap_pages=sizes.pages,
        frames_saved=pool.frames_saved,
        bytes_saved=pool.frames_saved * sizes.page_size,
    )


def _operation_row(stage: Stage) -> OperationRow:
    of, pools = stage.outcome, tuple(map(_pool_row, stage.pools))
    done, requested, error = (None, None, None) if of is None else (of.done, of.requested, of.error)
    return OperationRow(str(stage.operation), stage.name, done, requested, error, pools)


def _counters(stage: Stage) -> StageCounters:
    of = stage.counters
    pages, boot_pages = (None, None) if of is None else (of.nr_memmap_pages, of.nr_memmap_boot_pages)
    return StageCounters(pages, boot_pages, stage.key, stage.free_frames)


def _folio_row(folio: FolioHistory) -> FolioRow:
    before, runs = folio.before, (folio.before.runs, folio.after.runs, folio.restored.runs)
    freed = tuple(FrameRange(first, last) for first, last in folio.freed)
    return FolioRow(folio.size, folio.pfn, before.va, before.pages, *runs, freed)


def _finding_row(one: Finding, count: int) -> FindingRow:
    return FindingRow(one.what, one.where, one.declared, one.fault, one.rule, one.number, count)
