"""What a scenario found, as data: for the command line to show, for programs to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hvolab.arch import Target
from hvolab.scenario.parts import CountedFinding, FolioHistory, PoolReport, Stage
from hvolab.scenario.stores import TailStores
from hvolab.scenario.work import FailedCall, OperationCounts


@dataclass(frozen=True)
class ScenarioResult:
    """What a scenario did and found.

    target, memory, nodes  what was built
    pools                  one for each size, ascending
    stages                 the machine after boot, optimized and restored
    folios                 one folio of each size, where a pool got any
    stores                 stores to the tails of these, where they were optimized
    fill, drain            what optimizing and restoring took
    failed                 the allocation call that was made to fail, if one was
    findings               everything that was found, at rest and on the way
    warnings               what the engine warned of, each text once, with how often where that was more
    """

    target: Target
    memory: int
    nodes: int
    pools: tuple[PoolReport, ...]
    stages: tuple[Stage, ...]
    folios: tuple[FolioHistory, ...]
    stores: tuple[TailStores, ...]
    fill: OperationCounts
    drain: OperationCounts
    failed: FailedCall | None
    findings: tuple[CountedFinding, ...]
    warnings: tuple[str, ...]

    @property
    def as_declared(self) -> bool:
        """Whether everything found is what the description says, and nothing was warned of."""
        return not self.warnings and all(counted.finding.declared for counted in self.findings)

    @property
    def frames_saved(self) -> int:
        """Frames that backed the vmemmap after boot and no longer did once the pools were optimized."""
        boot, optimized, _ = self.stages
        return boot.counts.memmap_total - optimized.counts.memmap_total

    @property
    def vmemmap_frames(self) -> int:
        """Frames that backed the vmemmap of the folios in the pools."""
        return sum(pool.filled * pool.sizes.size // pool.sizes.page_size for pool in self.pools)

    @property
    def percent_saved(self) -> float:
        """Frames saved of those behind the folios' vmemmap, in percent; 0 where there were none."""
        return 100 * self.frames_saved / self.vmemmap_frames if self.vmemmap_frames else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON; addresses, PFNs and entries are hex strings, counts and sizes numbers."""
        page_size = self.target.mode.page_size
        return {
            "architecture": self.target.architecture.name,
            "mode": self.target.mode.name,
            "profile": self.target.profile,
            "release": self.target.release,
            "features": list(self.target.features),
            "memory": self.memory,
            "nodes": self.nodes,
            "hugepages": [pool.as_dict() for pool in self.pools],
            "frames_saved": self.frames_saved,
            "bytes_saved": self.frames_saved * page_size,
            "percent_saved": round(self.percent_saved, 2),
            "page_tables_made": self.fill.tables_made,
            "counters": {stage.name: asdict(stage.counts) for stage in self.stages},
            "work": {"fill": self.fill.as_dict(), "drain": self.drain.as_dict()},
            "folios": [folio.as_dict() for folio in self.folios],
            "stores": [stores.as_dict() for stores in self.stores],
            "failed_allocation": self.failed and self.failed.as_dict(),
            "invariants": {stage.name: not stage.findings for stage in self.stages},
            "findings": [counted.as_dict() for counted in self.findings],
            "warnings": list(self.warnings),
            "as_declared": self.as_declared,
        }
