"""Parts of a scenario's result: the machine at rest, an operation, a folio, a pool, findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hvolab.arch import HugePageSize
from hvolab.hvo import VmemmapSizes
from hvolab.invariants import Finding
from hvolab.scenario.operations import Outcome, Request
from hvolab.scenario.views import VmemmapView, folded
from hvolab.scenario.work import OperationCounts
from hvolab.serialize import as_data
from hvolab.units import format_short


@dataclass(frozen=True)
class MachineCounts:
    """A machine's counters at one moment.

    nr_memmap_pages, nr_memmap_boot_pages  the counters of vmemmap pages
    key                                    the static key
    free_frames                            free frames of the allocator
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

    def as_dict(self) -> dict[str, Any]:
        """Return the pool for JSON."""
        return {
            "size": self.huge_page.size,
            "name": format_short(self.huge_page.size),
            "level": self.huge_page.level,
            "entries": self.huge_page.count,
            "order": self.sizes.order,
            "requested": self.requested,
            "pages": self.pages,
            "pages_per_node": list(self.per_node),
            "free": self.free,
            "surplus": self.surplus,
            "optimized": self.optimized,
            "vmemmap_pages": self.sizes.pages,
            "frames_saved": self.frames_saved,
            "bytes_saved": self.frames_saved * self.sizes.page_size,
        }


@dataclass(frozen=True)
class Stage:
    """The machine at rest after boot, or after an operation.

    name       `boot`, `optimized` or `restored`; with requested operations, number and operation
    counts     its counters
    pools      its pools, ascending by size
    findings   invariants that were broken then
    work       what HVO did since the stage before
    operation  the operation, None after boot
    outcome    its result
    """

    name: str
    counts: MachineCounts
    pools: tuple[PoolReport, ...]
    findings: tuple[Finding, ...]
    work: OperationCounts
    operation: Request | None = None
    outcome: Outcome | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the operation for JSON."""
        pools = [pool.as_dict() for pool in self.pools]
        return {"operation": str(self.operation), "stage": self.name, **as_data(self.outcome), "hugepages": pools}


@dataclass(frozen=True)
class FolioHistory:
    """One folio, viewed closely.

    size, pfn  bytes and head PFN
    before     its vmemmap before it was optimized
    after      its vmemmap after that
    restored   its vmemmap at the end
    """

    size: int
    pfn: int
    before: VmemmapView
    after: VmemmapView
    restored: VmemmapView

    @property
    def freed(self) -> tuple[tuple[int, int], ...]:
        """Ranges of frames (first, last) that no longer back it once optimized."""
        return folded(self.before.frames() - self.after.frames())

    def as_dict(self) -> dict[str, Any]:
        """Return the history for JSON."""
        views = {"before": self.before, "after": self.after, "restored": self.restored}
        return {
            "size": self.size,
            "pfn": f"{self.pfn:#x}",
            "vmemmap_va": f"{self.before.va:#x}",
            "vmemmap_pages": self.before.pages,
            **{name: as_data(view.runs) for name, view in views.items()},
            "freed": [{"first": f"{first:#x}", "last": f"{last:#x}"} for first, last in self.freed],
        }


@dataclass(frozen=True)
class CountedFinding:
    """Findings that differ in their place alone: the first of them, and their number."""

    finding: Finding
    count: int

    def as_dict(self) -> dict[str, object]:
        """Return the findings for JSON."""
        return {**as_data(self.finding), "count": self.count}


def counted(findings: Iterable[Finding]) -> tuple[CountedFinding, ...]:
    """Join findings with the same rule, text and declaration, in the order of the first of each."""
    groups: dict[Finding, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, where="", since=None), []).append(finding)
    return tuple(CountedFinding(group[0], len(group)) for group in groups.values())
