"""Result of a scenario as data, for the command line and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hvolab.arch import Target
from hvolab.scenario.parts import CountedFinding, FolioHistory, PoolReport, Stage
from hvolab.scenario.stores import TailStores
from hvolab.scenario.work import FailedCall, OperationCounts
from hvolab.serialize import as_data


@dataclass(frozen=True)
class ScenarioResult:
    """Result of a scenario.

    target, memory, nodes  the machine
    stages                 the machine after boot, and after each operation
    requested              whether the operations were requested, not the default ones
    folios                 one folio of each size, if a pool got any
    stores                 stores to the tails of these, if they were optimized
    failed                 the allocation call that was made to fail, if one was
    findings               all findings, at rest and during operations
    warnings               warnings of the engine, each text once, with its number if it is more than one
    """

    target: Target
    memory: int
    nodes: int
    stages: tuple[Stage, ...]
    requested: bool
    folios: tuple[FolioHistory, ...]
    stores: tuple[TailStores, ...]
    failed: FailedCall | None
    findings: tuple[CountedFinding, ...]
    warnings: tuple[str, ...]

    @property
    def as_declared(self) -> bool:
        """True if the description declares every finding, and the engine warned of nothing."""
        return not self.warnings and all(counted.finding.declared for counted in self.findings)

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
        return {name: stage.work for name, stage in zip(names, self.stages[1:], strict=True)}

    @property
    def page_tables_allocated(self) -> int:
        """Page tables allocated by all operations."""
        return sum(counts.page_tables_allocated for counts in self.work.values())

    @property
    def frames_saved(self) -> int:
        """Frames that backed the vmemmap after boot, and no longer do when savings are measured."""
        return self.stages[0].counts.memmap_total - self.measured.counts.memmap_total

    @property
    def vmemmap_frames(self) -> int:
        """Frames that backed the vmemmap of the folios in the pools."""
        return sum(pool.pages * pool.sizes.size // pool.sizes.page_size for pool in self.pools)

    @property
    def percent_saved(self) -> float:
        """Frames saved of those behind the folios' vmemmap, in percent; 0 for none."""
        return 100 * self.frames_saved / self.vmemmap_frames if self.vmemmap_frames else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON; addresses, PFNs and entries are hex strings, counts and sizes numbers."""
        return {
            "architecture": self.target.architecture.name,
            "mode": self.target.mode.name,
            "profile": self.target.profile,
            "release": self.target.release,
            "features": list(self.target.features),
            "memory": self.memory,
            "nodes": self.nodes,
            "hugepages": [{**pool.as_dict(), "left": left} for pool, left in zip(self.pools, self.left, strict=True)],
            "frames_saved": self.frames_saved,
            "bytes_saved": self.frames_saved * self.target.mode.page_size,
            "percent_saved": round(self.percent_saved, 2),
            "page_tables_allocated": self.page_tables_allocated,
            **({"operations": [stage.as_dict() for stage in self.stages[1:]]} if self.requested else {}),
            "counters": {stage.name: asdict(stage.counts) for stage in self.stages},
            "work": as_data(self.work),
            "folios": [folio.as_dict() for folio in self.folios],
            "stores": as_data(self.stores),
            "failed_allocation": as_data(self.failed),
            "invariants": {stage.name: not stage.findings for stage in self.stages},
            "findings": [counted.as_dict() for counted in self.findings],
            "warnings": list(self.warnings),
            "as_declared": self.as_declared,
        }
