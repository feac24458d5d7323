# SPDX-License-Identifier: GPL-2.0-only
"""Result of a scenario as data, for the command line and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hvolab.arch import HugePageSize
from hvolab.hvo import VmemmapSizes
from hvolab.invariants import Finding
from hvolab.machine.machine import Counters
from hvolab.scenario.operations import Outcome, Request
from hvolab.scenario.spec import ScenarioSpec
from hvolab.scenario.stores import TailStores
from hvolab.scenario.views import FolioHistory
from hvolab.scenario.work import FailedCall, OperationCounts


@dataclass(frozen=True)
class PoolReport:
    """A pool at rest.

    huge_page  its huge page size
    sizes      the vmemmap of one of its folios
    requested  requested pages
    per_node   its pages on each node
    free       free pages among them
    surplus    surplus pages among them
    optimized  optimized pages among them
    """

    huge_page: HugePageSize
    sizes: VmemmapSizes
    requested: int
    per_node: tuple[int, ...]
    free: int
    surplus: int
    optimized: int

    @property
    def pages(self) -> int:
        """Its pages."""
        return sum(self.per_node)

    @property
    def frames_saved(self) -> int:
        """Frames that its optimized pages save."""
        return self.optimized * self.sizes.saved_pages


@dataclass(frozen=True)
class Stage:
    """The machine at rest after boot, or after an operation.

    name         `boot`, `optimized` or `restored`; with requested operations, number and operation
    counters     its counters of vmemmap pages; None: the kernel release has none
    key          its static key; None: the kernel release has none
    free_frames  free frames of its allocator
    pools        its pools, ascending by size
    findings     invariants that are broken then, or were since the stage before
    work         what HVO did since the stage before
    operation    the operation, None after boot
    outcome      its result, None if a finding stopped it
    """

    name: str
    counters: Counters | None
    key: int | None
    free_frames: int
    pools: tuple[PoolReport, ...]
    findings: tuple[Finding, ...]
    work: OperationCounts
    operation: Request | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class ScenarioResult:
    """Result of a scenario.

    spec      its specification
    stages    the machine after boot, and after each operation
    folios    one folio of each size, if a pool got any
    stores    stores to the tails of these, if they were optimized
    failed    the allocation call that was made to fail, if one was
    findings  findings at rest and during operations, each with the number of those that differ in their place alone
    warnings  warnings of the engine, each text once, with its number if it is more than one
    """

    spec: ScenarioSpec
    stages: tuple[Stage, ...]
    folios: tuple[FolioHistory, ...]
    stores: tuple[TailStores, ...]
    failed: FailedCall | None
    findings: Mapping[Finding, int]
    warnings: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the engine, such as the reason for its release, and messages of the kernel about parameters."""
        return (*(() if self.spec.engine is None else self.spec.engine.notes), *self.spec.boot.messages)

    @property
    def requested(self) -> bool:
        """True if the operations were requested, and are not the default ones."""
        return bool(self.spec.requests)

    @property
    def as_declared(self) -> bool:
        """True if the description declares every finding, and the engine warned of nothing."""
        return not self.warnings and all(finding.declared for finding in self.findings)

    @property
    def stopped(self) -> bool:
        """True if a finding stopped the run before all operations were done."""
        last = self.stages[-1]
        return last.operation is not None and last.outcome is None

    @property
    def measured(self) -> Stage:
        """The stage at which savings are measured: once optimized, or after the last requested operation."""
        return self.stages[-1 if self.requested else 1]

    @property
    def pools(self) -> tuple[PoolReport, ...]:
        """The pools when savings are measured."""
        return self.measured.pools

    @property
    def left(self) -> tuple[int, ...]:
        """Pages of each pool at the end; after the default operations, pages that could not be restored."""
        return tuple(pool.pages for pool in self.stages[-1].pools)

    @property
    def work(self) -> dict[str, OperationCounts]:
        """Counts of what HVO did, by operation."""
        names = [stage.name for stage in self.stages[1:]] if self.requested else ["fill", "drain"]
        return {name: stage.work for name, stage in zip(names, self.stages[1:], strict=False)}

    @property
    def page_tables_allocated(self) -> int:
        """Page tables allocated by all operations."""
        return sum(counts.page_tables_allocated for counts in self.work.values())

    @property
    def frames_saved(self) -> int:
        """Frames that the optimized pages save when savings are measured; a page that tails share is not deducted."""
        return sum(pool.frames_saved for pool in self.pools)

    @property
    def vmemmap_frames(self) -> int:
        """Frames that backed the vmemmap of the folios in the pools."""
        return sum(pool.pages * pool.sizes.size // pool.sizes.page_size for pool in self.pools)

    @property
    def percent_saved(self) -> float:
        """Frames saved of those behind the folios' vmemmap, in percent; 0 for none."""
        return 100 * self.frames_saved / self.vmemmap_frames if self.vmemmap_frames else 0.0


def counted(findings: Iterable[Finding]) -> dict[Finding, int]:
    """Count findings with the same rule, text and declaration; the first of each stands for all, in order."""
    groups: dict[Finding, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, where="", since=None), []).append(finding)
    return {group[0]: len(group) for group in groups.values()}
