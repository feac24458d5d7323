"""The parts of a scenario's result: the machine at rest, one folio's story, one pool's, findings told together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hvolab.arch import HugePageSize
from hvolab.hvo import VmemmapSizes
from hvolab.invariants import Finding
from hvolab.scenario.views import VmemmapView, folded
from hvolab.serialize import as_data
from hvolab.units import format_short


@dataclass(frozen=True)
class MachineCounts:
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

    name      `boot`, `optimized` or `restored`
    counts    its counters
    findings  invariants that were broken then
    """

    name: str
    counts: MachineCounts
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class FolioHistory:
    """One folio looked at closely.

    size, pfn  bytes and head PFN
    before     its vmemmap before its pool was optimized
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
        """Ranges of frames (first, last) that no longer back it once optimized."""
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
    per_node    folios that were in it once filled, on each node
    optimized   how many of them were optimized
    left        folios that draining it left, as free surplus folios
    """

    huge_page: HugePageSize
    sizes: VmemmapSizes
    asked: int
    per_node: tuple[int, ...]
    optimized: int
    left: int

    @property
    def filled(self) -> int:
        """Folios that were in it once filled."""
        return sum(self.per_node)

    @property
    def frames_saved(self) -> int:
        """Frames that its optimized folios gave back."""
        return self.optimized * self.sizes.saved_pages

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
            "pages_per_node": list(self.per_node),
            "optimized": self.optimized,
            "vmemmap_pages": self.sizes.pages,
            "frames_saved": self.frames_saved,
            "bytes_saved": self.frames_saved * self.sizes.page_size,
            "left": self.left,
        }


@dataclass(frozen=True)
class CountedFinding:
    """Findings that differ in their place alone: the first of them, and how many there are."""

    finding: Finding
    count: int

    def as_dict(self) -> dict[str, object]:
        """The findings for JSON."""
        return {**as_data(self.finding), "count": self.count}


def counted(findings: Iterable[Finding]) -> tuple[CountedFinding, ...]:
    """Findings with the same rule, text and declaration as one, in the order in which the first of each was seen."""
    firsts: dict[Finding, Finding] = {}
    numbers: dict[Finding, int] = {}
    for finding in findings:
        alike = replace(finding, where="", since=None)
        firsts.setdefault(alike, finding)
        numbers[alike] = numbers.get(alike, 0) + 1
    return tuple(CountedFinding(first, numbers[alike]) for alike, first in firsts.items())
