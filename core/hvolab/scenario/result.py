"""What a scenario found, as data: for the command line to show, for programs to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from hvolab.arch import HugePageSize, Target
from hvolab.hvo import VmemmapSizes
from hvolab.invariants import Finding
from hvolab.scenario.stores import TailStores
from hvolab.scenario.views import VmemmapView, folded
from hvolab.scenario.work import FailedCall, Work
from hvolab.units import format_short


@dataclass(frozen=True)
class Counts:
    """A machine's counters at one moment.

    nr_memmap_pages, nr_memmap_boot_pages  the counters of vmemmap pages
    key                                    the static key
    free_frames                            frames that the allocator has
    """

    nr_memmap_pages: int
    nr_memmap_boot_pages: int
    key: int
    free_frames: int

    @property
    def memmap_total(self) -> int:
        """Frames that back the vmemmap."""
        return self.nr_memmap_pages + self.nr_memmap_boot_pages


@dataclass(frozen=True)
class Stage:
    """The machine at rest after one part of the scenario.

    name      `boot`, `optimised` or `restored`
    counts    its counters
    findings  invariants that were broken then
    """

    name: str
    counts: Counts
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class FolioStory:
    """One folio looked at closely.

    size, pfn  bytes and head PFN
    before     its vmemmap before its pool was optimised
    after      and after
    restored   and after its pool was drained
    """

    size: int
    pfn: int
    before: VmemmapView
    after: VmemmapView
    restored: VmemmapView

    @property
    def freed(self) -> tuple[tuple[int, int], ...]:
        """Ranges of frames (first, last) that no longer back it once optimised."""
        return folded(self.before.frames() - self.after.frames())

    def as_dict(self) -> dict[str, Any]:
        """The story for JSON."""
        views = {"before": self.before, "after": self.after, "restored": self.restored}
        return {
            "size": self.size,
            "pfn": f"{self.pfn:#x}",
            "vmemmap_va": f"{self.before.va:#x}",
            "vmemmap_pages": self.before.pages,
            **{name: [run.as_dict() for run in view.runs] for name, view in views.items()},
            "freed": [{"first": f"{first:#x}", "last": f"{last:#x}"} for first, last in self.freed],
        }


@dataclass(frozen=True)
class PoolReport:
    """What became of one pool.

    huge_page   its size, as the architecture declares it
    sizes       the vmemmap of one of its folios
    asked       folios asked for
    filled      folios that were in it once filled
    optimised   how many of them were optimised
    undrained   folios that draining it once left, as free surplus folios
    left        folios that were left in the end
    """

    huge_page: HugePageSize
    sizes: VmemmapSizes
    asked: int
    filled: int
    optimised: int
    undrained: int
    left: int

    @property
    def frames_saved(self) -> int:
        """Frames that its optimised folios gave back."""
        return self.optimised * self.sizes.saved_pages

    def as_dict(self) -> dict[str, Any]:
        """The pool for JSON."""
        return {
            "size": self.huge_page.size,
            "name": format_short(self.huge_page.size),
            "level": self.huge_page.level,
            "entries": self.huge_page.count,
            "order": self.sizes.order,
            "asked": self.asked,
            "pages": self.filled,
            "optimised": self.optimised,
            "vmemmap_pages": self.sizes.pages,
            "frames_saved": self.frames_saved,
            "bytes_saved": self.frames_saved * self.sizes.page_size,
            "undrained": self.undrained,
            "left": self.left,
        }


@dataclass(frozen=True)
class CountedFinding:
    """Findings that differ in their place alone: the first of them, and how many there are."""

    finding: Finding
    count: int

    def as_dict(self) -> dict[str, object]:
        """The findings for JSON."""
        return {**self.finding.as_dict(), "count": self.count}


def counted(findings: Iterable[Finding]) -> tuple[CountedFinding, ...]:
    """Findings with the same rule, text and declaration as one, in the order in which the first of each was seen."""
    firsts: dict[Finding, Finding] = {}
    numbers: dict[Finding, int] = {}
    for finding in findings:
        alike = replace(finding, where="", since=None)
        firsts.setdefault(alike, finding)
        numbers[alike] = numbers.get(alike, 0) + 1
    return tuple(CountedFinding(first, numbers[alike]) for alike, first in firsts.items())


@dataclass(frozen=True)
class ScenarioResult:
    """What a scenario did and found.

    target, memory, nodes  what was built
    pools                  one for each size, ascending
    stages                 the machine after boot, optimised and restored
    folios                 one folio of each size, where a pool got any
    stores                 stores to the tails of these, where they were optimised
    fill, drain            what optimising and restoring took
    failed                 the allocation call that was made to fail, if one was
    findings               everything that was found, at rest and on the way
    """

    target: Target
    memory: int
    nodes: int
    pools: tuple[PoolReport, ...]
    stages: tuple[Stage, ...]
    folios: tuple[FolioStory, ...]
    stores: tuple[TailStores, ...]
    fill: Work
    drain: Work
    failed: FailedCall | None
    findings: tuple[CountedFinding, ...]

    @property
    def as_declared(self) -> bool:
        """Whether everything found is what the description says."""
        return all(counted.finding.declared for counted in self.findings)

    @property
    def frames_saved(self) -> int:
        """Frames that backed the vmemmap after boot and no longer did once the pools were optimised."""
        boot, optimised, _ = self.stages
        return boot.counts.memmap_total - optimised.counts.memmap_total

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
            "generation": self.target.generation,
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
            "as_declared": self.as_declared,
        }
