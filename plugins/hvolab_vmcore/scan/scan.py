# SPDX-License-Identifier: GPL-2.0-only
"""Scan of a core for HVO: huge pages, savings, and findings."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hvolab.arrays import equal_runs
from hvolab.errors import CoreFileError
from hvolab.machine import FrameState
from hvolab_vmcore.core.memory import Flags, Ints
from hvolab_vmcore.core.releases import ReleaseChoice
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import Walk, walk_tables
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.huge_pages import HugePages, find_huge_pages
from hvolab_vmcore.scan.inspector import Inspector
from hvolab_vmcore.scan.stale_heads import stale_heads
from hvolab_vmcore.scan.unsaved import Unsaved, find_unsaved
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages, pages_of


@dataclass(frozen=True)
class Savings:
    """Memory that HVO saves in a core.

    frames, bytes  vmemmap frames that HVO freed
    splits         page tables at the last level that replaced a larger leaf
    split_bytes    bytes of those tables
    """

    also_in_data: ClassVar = ("net_bytes",)
    frames: int
    bytes: int
    splits: int
    split_bytes: int

    @property
    def net_bytes(self) -> int:
        """Bytes saved, less those of the split's tables."""
        return self.bytes - self.split_bytes


class Verdict(enum.StrEnum):
    """Result of a scan."""

    PROBLEMS = "problems"  #: findings that the architecture does not declare
    UNKNOWN = "cannot tell"  #: none, but the state of a huge page depends on what was not saved
    NO_PROBLEMS = "no problems"  #: neither


@dataclass(frozen=True, eq=False)
class Scan:
    """Scanned core.

    snapshot    the core
    walk        the page tables of its vmemmap
    pages       the pages of its vmemmap
    huge_pages  the huge pages of each size that HVO can optimize, the largest size first
    """

    snapshot: CoreSnapshot
    walk: Walk
    pages: VmemmapPages
    huge_pages: tuple[HugePages, ...]

    @property
    def optimized_heads(self) -> Ints:
        """PFNs of the heads of optimized huge pages, ascending."""
        # those of each size ascend already, which a stable sort makes use of
        return np.sort(np.concatenate([huge.pfns[huge.optimized] for huge in self.huge_pages]), kind="stable")

    @cached_property
    def optimized_pages(self) -> Flags:
        """Flags of the vmemmap pages of optimized huge pages, shape (rows,)."""
        inside = np.zeros(self.pages.frames.size, dtype=np.bool_)
        for huge in self.huge_pages:
            inside[(huge.rows[huge.optimized][:, None] + np.arange(huge.pages)).ravel()] = True
        return inside

    @cached_property
    def stale_heads(self) -> Ints:
        """Rows of vmemmap pages that begin with a copy of a head."""
        return stale_heads(self.snapshot, self.pages, self.optimized_pages)

    @cached_property
    def inspector(self) -> Inspector:
        """Inspector of the huge pages."""
        return Inspector(self.snapshot, self.walk, self.pages, self.huge_pages, self.stale_heads)

    @cached_property
    def findings(self) -> tuple[CoreFinding, ...]:
        """Findings, those about page tables first."""
        return tuple(self.inspector.findings())

    @cached_property
    def broken(self) -> frozenset[int]:
        """PFNs of the huge pages that have findings which the architecture does not declare."""
        return frozenset(one.folio for one in self.findings if one.folio is not None and not one.declared)

    @cached_property
    def savings(self) -> Savings:
        """Memory saved, and the cost of splits."""
        mode = self.snapshot.target.mode
        frames = sum(huge.frames_saved for huge in self.huge_pages)
        boot_leaf = mode.level(mode.vmemmap_level)
        splits = 0 if boot_leaf is mode.last else int(self.walk.levels[-1].pas.size)
        return Savings(frames, frames << mode.page_shift, splits, splits * mode.last.table_bytes)

    @cached_property
    def absent_frames(self) -> int:
        """Frames that the vmemmap maps and where the core has no memory."""
        return int((self.backing_states == FrameState.ABSENT).sum())

    @cached_property
    def backing_states(self) -> npt.NDArray[np.uint8]:
        """FrameState of each frame that the vmemmap maps, each frame once."""
        frames = self.pages.frames
        starts, _ = equal_runs(frames)  # first, since tails that share a frame are neighbors
        frames = np.sort(frames[starts])
        starts, _ = equal_runs(frames)
        frames = frames[starts]
        return self.snapshot.memory.states(frames[frames >= 0])

    def chosen(self, choice: ReleaseChoice) -> Scan:
        """Return the same scan with another reason for its release; what was computed is kept."""
        again = replace(self, snapshot=replace(self.snapshot, choice=choice))
        kept = ("optimized_pages", "stale_heads", "backing_states", "unsaved")
        again.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return again

    @cached_property
    def unsaved(self) -> Unsaved:
        """Parts of the vmemmap that were not saved."""
        frames = int((self.backing_states == FrameState.NOT_SAVED).sum())
        return find_unsaved(self.snapshot, self.walk, self.pages, self.huge_pages, frames)

    @property
    def verdict(self) -> Verdict:
        """Result of the scan: what was not saved is never taken for right."""
        if self.kinds():
            return Verdict.PROBLEMS
        return Verdict.UNKNOWN if self.unsaved.decisive else Verdict.NO_PROBLEMS

    def kinds(self) -> dict[str, int]:
        """Return the number of findings of each kind, listed or not, without those that the architecture declares."""
        listed = Counter(finding.kind for finding in self.findings if not finding.declared)
        return dict(listed + self.inspector.unlisted)


def scan(snapshot: CoreSnapshot) -> Scan:
    """Scan the vmemmap of a core.

    Raises CoreFileError where its page tables loop, point above the last PA, or do not map the vmemmap.
    """
    info = snapshot.core.vmcoreinfo
    bits = None if info is None else info.physical_bits
    walk = walk_tables(snapshot.tables, *snapshot.region, physical_bits=bits)
    pages = pages_of(snapshot, walk)
    if not pages.frames.size:
        raise _unmapped(snapshot, walk)
    return Scan(snapshot, walk, pages, find_huge_pages(snapshot, pages))


def _unmapped(snapshot: CoreSnapshot, walk: Walk) -> CoreFileError:
    """Return the error for a vmemmap of which no page was read."""
    start = snapshot.region[0]
    for table in walk.absent[:1]:
        missing = "was not saved" if table.state is FrameState.NOT_SAVED else "is not in the core"
        return CoreFileError(
            f"the vmemmap cannot be walked: the table at PA {table.pa:#x} {missing}",
            where=f"VA {table.va:#x}, {snapshot.target.describe(table.level.name, table.raw)}",
            rule="an entry that is a table points to memory",
            hint=snapshot.core.remedy or "dump again without excluding page tables",
        )
    return CoreFileError(
        f"no vmemmap is mapped at VA {start:#x}",
        where=f"{snapshot.core.path}, tables at PA {snapshot.tables.root:#x}",
        rule="the struct pages of all memory are mapped there",
        hint="check --vmemmap, --root and --mode; the core may be damaged",
    )
