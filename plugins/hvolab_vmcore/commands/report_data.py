# SPDX-License-Identifier: GPL-2.0-only
"""A scan as plain data: the JSON of `hvolab inspect`, whose keys are stable. Its schema is in docs/static.

VAs, PAs, PFNs and entries are strings of hex in JSON; counts and sizes in bytes are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hvolab.arrays import equal_runs
from hvolab.machine import FrameState
from hvolab.serialize import Hex, as_data
from hvolab_vmcore.commands.notes import assumptions
from hvolab_vmcore.core.memory import Flags
from hvolab_vmcore.core.releases import ReleaseChoice
from hvolab_vmcore.core.walk import AbsentTable
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.pools import PoolData, nodes_of, pools
from hvolab_vmcore.scan.scan import Savings, Scan


@dataclass(frozen=True)
class ReleaseData:
    """Choice of the release that is modeled.

    by          whether an option names it, or features of the core show it
    fits        facts of the core that fit it
    contradict  facts of the core that do not
    as_well     other releases that fit as many facts
    """

    by: Literal["option", "features"]
    fits: tuple[str, ...]
    contradict: tuple[str, ...]
    as_well: tuple[str, ...]


@dataclass(frozen=True)
class SizeData:
    """Huge pages of one size, by state.

    order          log2 of their base pages
    size           bytes of each
    cannot_tell    largest number of huge pages whose state depends on what was not saved
    frames_saved   frames that HVO freed
    """

    order: int
    size: int
    optimized: int
    not_optimized: int
    device_dax: int
    cannot_tell: int
    frames_saved: int


@dataclass(frozen=True)
class MappingData:
    """Pages of vmemmap with the same entry.

    va     VA of the first
    pages  number of pages
    entry  the entry that maps them, in hex and decoded
    pfn    frame that they map; null: none
    """

    va: Hex
    pages: int
    entry: str
    pfn: Hex | None


@dataclass(frozen=True)
class TailData(MappingData):
    """Tail pages with the same entry, as the mapping has them.

    writable  a store through the mapping would not fault
    """

    writable: bool


@dataclass(frozen=True)
class HugePageData:
    """A huge page.

    pfn            PFN of its head
    node           NUMA node; null: as for pools
    tails_share    whose frame the tails share; null: they share none
    bit            HPG_vmemmap_optimized in its head; null: the head is not in the core
    vmemmap_va     VA of its head struct page
    vmemmap_pages  pages of vmemmap
    head, tails    mapping of the first page, and of the others
    """

    pfn: Hex
    order: int
    size: int
    node: int | None
    state: Literal["optimized", "not optimized", "device dax", "cannot tell", "broken"]
    tails_share: Literal["head", "second page", "tail", "device dax", "cannot tell"] | None
    bit: bool | None
    vmemmap_va: Hex
    vmemmap_pages: int
    head: MappingData
    tails: tuple[TailData, ...]


@dataclass(frozen=True)
class TableData:
    """Page table that was not read.

    va     first VA that the entry which points to it maps
    level  level of this entry
    entry  this entry
    pa     PA of the table
    """

    va: Hex
    level: str
    entry: Hex
    pa: Hex


@dataclass(frozen=True)
class AbsentData:
    """Frames behind the vmemmap and page tables of which the dump has no memory."""

    frames: int
    tables: tuple[TableData, ...]


@dataclass(frozen=True)
class NotSavedData(AbsentData):
    """Frames behind the vmemmap and page tables that were not saved.

    bits  optimized huge pages whose head was not saved
    """

    bits: int


@dataclass(frozen=True)
class ScanData:
    """Result of `hvolab inspect`.

    core            file
    format          its format
    kernel          release as `uname -r` prints it; empty: unknown
    release         kernel release that is modeled
    root            PA of the root table
    vmemmap         VA of the struct page of PFN 0
    huge_pages      all, or those that options select
    assumptions     sentences about what the dump does not contain
    """

    core: str
    format: str
    kernel: str
    architecture: str
    mode: str
    profile: str
    release: str
    features: tuple[str, ...]
    release_choice: ReleaseData
    root: Hex
    vmemmap: Hex
    sizes: tuple[SizeData, ...]
    pools: tuple[PoolData, ...]
    huge_pages: tuple[HugePageData, ...]
    savings: Savings
    absent: AbsentData
    not_saved: NotSavedData
    verdict: Literal["problems", "cannot tell", "no problems"]
    findings: tuple[CoreFinding, ...]
    assumptions: tuple[str, ...]


def release_data(choice: ReleaseChoice) -> ReleaseData:
    """Return the choice of a release as data."""
    by: Literal["option", "features"] = "option" if choice.named else "features"
    return ReleaseData(by, choice.fits, choice.contradict, tuple(release.name for release in choice.as_well))


def scan_data(scan: Scan, chosen: dict[int, Flags] | None = None) -> dict[str, Any]:
    """Return the scan for JSON; ``chosen`` as in `scan_result`."""
    data: dict[str, Any] = as_data(scan_result(scan, chosen))
    return data


def scan_result(scan: Scan, chosen: dict[int, Flags] | None = None) -> ScanData:
    """Return the scan as data.

    chosen  flags of the huge pages that are listed, by order; None: all
    """
    snapshot, target = scan.snapshot, scan.snapshot.target
    absent = [one for one in scan.walk.absent if one.state is FrameState.ABSENT]
    return ScanData(
        core=str(snapshot.core.path),
        format=snapshot.core.format,
        kernel=snapshot.kernel,
        architecture=target.architecture.name,
        mode=target.mode.name,
        profile=target.profile,
        release=target.release.name,
        features=target.features,
        release_choice=release_data(snapshot.choice),
        root=snapshot.tables.root,
        vmemmap=snapshot.vmemmap,
        sizes=tuple(_size_data(scan, huge) for huge in scan.huge_pages),
        pools=tuple(pools(scan)),
        huge_pages=tuple(listed(scan, chosen)),
        savings=scan.savings,
        absent=AbsentData(scan.absent_frames, _tables(absent)),
        not_saved=NotSavedData(scan.unsaved.frames, _tables(scan.unsaved.tables), scan.unsaved.bits),
        verdict=scan.verdict.value,
        findings=scan.findings,
        assumptions=tuple(assumptions(scan)),
    )


def _tables(tables: Iterable[AbsentTable]) -> tuple[TableData, ...]:
    """Return page tables that were not read."""
    return tuple(TableData(one.va, one.level.name, one.raw, one.pa) for one in tables)


def _size_data(scan: Scan, huge: HugePages) -> SizeData:
    """Return the number of huge pages of one size, by state."""
    return SizeData(
        order=huge.order,
        size=scan.snapshot.target.mode.page_size << huge.order,
        optimized=int(huge.optimized.sum()),
        not_optimized=int(huge.with_sharing(Sharing.NONE).sum()),
        device_dax=int(huge.with_sharing(Sharing.DAX).sum()),
        cannot_tell=scan.unsaved.blocks[huge.order],
        frames_saved=huge.frames_saved,
    )


def listed(scan: Scan, chosen: dict[int, Flags] | None = None) -> Iterator[HugePageData]:
    """Yield the huge pages, the largest size first, with the mapping of their tails; ``chosen`` as in `scan_result`."""
    pages, writable = scan.pages, scan.inspector.writable
    broken = scan.broken
    for huge in scan.huge_pages:
        nodes = nodes_of(scan, huge).tolist()
        indices = range(huge.rows.size) if chosen is None else np.flatnonzero(chosen[huge.order]).tolist()
        for index in indices:
            row, pfn, sharing = int(huge.rows[index]), int(huge.pfns[index]), Sharing(int(huge.sharing[index]))
            state = "optimized" if huge.optimized[index] else sharing.label
            runs = () if sharing is Sharing.NONE else _runs(scan, row + 1, row + huge.pages)
            yield HugePageData(
                pfn=pfn,
                order=huge.order,
                size=scan.snapshot.target.mode.page_size << huge.order,
                node=None if nodes[index] < 0 else nodes[index],
                state="broken" if pfn in broken else state,  # type: ignore[arg-type]  # a label is one of these
                tails_share=None if sharing is Sharing.NONE else sharing.label,  # type: ignore[arg-type]
                bit=bool(huge.heads.optimized[index]) if huge.heads.there[index] else None,
                vmemmap_va=pages.va(row),
                vmemmap_pages=huge.pages,
                head=MappingData(*_mapping(scan, row, 1)),
                tails=tuple(
                    TailData(*_mapping(scan, first, count), writable=bool(writable[first])) for first, count in runs
                ),
            )


def _mapping(scan: Scan, row: int, count: int) -> tuple[int, int, str, int | None]:
    """Return VA, count, entry and frame of ``count`` vmemmap pages with the same entry."""
    pages = scan.pages
    level, frame = scan.walk.levels[int(pages.depths[row])].level, int(pages.frames[row])
    entry = scan.snapshot.target.describe(level.name, int(pages.raws[row]))
    return pages.va(row), count, entry, None if frame < 0 else frame


def _runs(scan: Scan, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Return runs of rows with the same entry, as first row and count."""
    for first, last in zip(*equal_runs(scan.pages.raws[start:stop]), strict=True):
        yield start + int(first), int(last - first)


def selection(scan: Scan, pfns: Iterable[int], *, problems: bool) -> dict[int, Flags]:
    """Return flags of the huge pages that hold one of these PFNs, or are broken, by order.

    pfns      none: any
    problems  only those that have findings that the architecture does not declare
    """
    wanted, found = sorted(pfns), {}
    for huge in scan.huge_pages:
        flags = np.ones(huge.rows.size, dtype=np.bool_)
        if wanted:
            flags = np.isin(huge.pfns, [pfn >> huge.order << huge.order for pfn in wanted])
        if problems:
            flags &= np.isin(huge.pfns, list(scan.broken))
        found[huge.order] = flags
    return found
