"""Reads HVO's state off a core: which huge pages are optimized, what that saves, and what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hvolab.arch import EntryKind
from hvolab.errors import CoreFileError
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import Walk, walk_tables
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.findings import Inspector
from hvolab_vmcore.scan.huge_pages import HugePages, find_huge_pages
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages, pages_of


@dataclass(frozen=True)
class Savings:
    """What HVO saves in a core.

    frames, bytes  vmemmap frames that optimized huge pages do without
    splits         tables at the last level that stand where a larger leaf stood; each costs a table
    split_bytes    bytes of those tables
    """

    frames: int
    bytes: int
    splits: int
    split_bytes: int

    @property
    def net_bytes(self) -> int:
        """Bytes saved less what the splits cost."""
        return self.bytes - self.split_bytes


@dataclass(frozen=True, eq=False)
class Scan:
    """What a core tells about HVO.

    snapshot    the core
    walk        the page tables of its vmemmap
    pages       the pages of its vmemmap
    huge_pages  those of each size that HVO can optimize, the largest size first
    """

    snapshot: CoreSnapshot
    walk: Walk
    pages: VmemmapPages
    huge_pages: tuple[HugePages, ...]

    @cached_property
    def inspector(self) -> Inspector:
        """What looks at the entries one by one."""
        return Inspector(self.snapshot, self.walk, self.pages, self.huge_pages)

    @cached_property
    def findings(self) -> tuple[CoreFinding, ...]:
        """What breaks an invariant."""
        return tuple(self.inspector.findings())

    @cached_property
    def savings(self) -> Savings:
        """What is saved, and what it costs."""
        mode = self.snapshot.target.mode
        frames = sum(huge.frames_saved for huge in self.huge_pages)
        boot_leaf = mode.level(mode.vmemmap_level)
        splits = 0 if boot_leaf is mode.last else int(self.walk.levels[-1].pas.size)
        return Savings(frames, frames << mode.page_shift, splits, splits * mode.last.table_bytes)

    @cached_property
    def absent_frames(self) -> int:
        """Frames that the vmemmap maps and that the core does not hold."""
        memory = self.snapshot.memory
        frames = np.unique(self.pages.frames[self.pages.frames >= 0]) - memory.first_pfn
        inside = frames[(frames >= 0) & (frames < memory.frames)]
        held = inside.size if memory.present is None else int(memory.present[inside].sum())
        return int(frames.size - held)

    def kinds(self) -> dict[str, int]:
        """How many findings there are of each kind, those declared left out."""
        return dict(Counter(finding.kind for finding in self.findings if not finding.declared))


def scan(snapshot: CoreSnapshot) -> Scan:
    """Scan the vmemmap of a core.

    Raises CoreFileError where its page tables loop or point outside of memory, and where they map no vmemmap.
    """
    info = snapshot.core.vmcoreinfo
    bits = None if info is None else info.number("MAX_PHYSMEM_BITS")
    walk = walk_tables(snapshot.tables, *snapshot.region, physical_bits=bits)
    pages = pages_of(snapshot, walk)
    if not pages.numbers.size:
        raise _unmapped(snapshot, walk)
    return Scan(snapshot, walk, pages, find_huge_pages(snapshot, pages))


def _unmapped(snapshot: CoreSnapshot, walk: Walk) -> CoreFileError:
    """The error for a vmemmap that cannot be reached."""
    start = snapshot.region[0]
    if walk.absent:
        table = walk.absent[0]
        entry = snapshot.target.describe(table.level.name, table.raw)
        return CoreFileError(
            f"the vmemmap cannot be walked: the table at PA {table.pa:#x} is not in the core",
            where=f"VA {table.va:#x}, {entry}",
            rule=f"an entry that is a {EntryKind.TABLE.value} points to memory",
            hint="dump again without leaving page tables out",
        )
    return CoreFileError(
        f"nothing is mapped at the vmemmap, from VA {start:#x} on",
        where=f"{snapshot.core.path}, tables at PA {snapshot.tables.root:#x}",
        rule="the struct pages of all memory are mapped there",
        hint="check --vmemmap, --root and --mode; the core may be damaged",
    )
