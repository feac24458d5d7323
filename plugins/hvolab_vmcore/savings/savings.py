# SPDX-License-Identifier: GPL-2.0-only
"""Savings as data: the JSON of `hvolab savings`, whose keys are stable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from hvolab.arch import Architecture, PagingMode
from hvolab.arithmetic import div_round_up
from hvolab.hvo import VmemmapSizes


@dataclass(frozen=True)
class PoolSavings:
    """Huge pages of one size on one node.

    size        bytes of each
    node        NUMA node; null: unknown, or all nodes together
    huge_pages  their number
    optimized   number of those that HVO has optimized; null: cannot tell
    saved       bytes that HVO saves; null: cannot tell
    possible    bytes that it would save if all were optimized
    """

    size: int
    node: int | None
    huge_pages: int
    optimized: int | None
    saved: int | None
    possible: int


@dataclass(frozen=True)
class PlanRow:
    """Savings of one size of huge page, with one size of base page, if all memory consists of such huge pages.

    page_size      bytes of a base page
    size           bytes of a huge page
    architectures  architectures that have both
    vmemmap        bytes of struct pages of one huge page
    saved          bytes that HVO saves of them
    percent        the same in percent of the huge page
    memory         bytes of memory: as many huge pages as fit
    memory_saved   bytes that HVO saves there
    tables         bytes of page tables that it allocates there, at most, to map the vmemmap by single pages
    """

    page_size: int
    size: int
    architectures: tuple[str, ...]
    vmemmap: int
    saved: int
    percent: float
    memory: int
    memory_saved: int
    tables: int


@dataclass(frozen=True)
class SavingsReport:
    """Result of `hvolab savings`.

    source            dump, or folder with /proc and /sys
    kernel            release as `uname -r` prints it; empty: unknown
    page_size         bytes of a base page; null: unknown
    struct_page_size  bytes of a struct page
    memory            bytes of memory, as the source has them, or an option names them
    hvo               whether the kernel optimizes huge pages that are allocated now
    pools             huge pages that there are
    plan              savings by size and granule
    notes             sentences about what is unknown or assumed
    """

    source: str
    kernel: str
    page_size: int | None
    struct_page_size: int
    memory: int
    hvo: Literal["on", "off", "not there", "cannot tell"]
    pools: tuple[PoolSavings, ...]
    plan: tuple[PlanRow, ...]
    notes: tuple[str, ...]


def saved_of(size: int, page_size: int, struct_page_size: int) -> int:
    """Return the bytes that HVO saves of the struct pages of one huge page of ``size`` bytes."""
    order = (size // page_size).bit_length() - 1
    return VmemmapSizes(order, page_size, struct_page_size).optimizable_size


def plan(architectures: Iterable[Architecture], memory: int, struct_page_size: int) -> tuple[PlanRow, ...]:
    """Return a row for each size of huge page that HVO can optimize and each size of base page, ascending."""
    found: dict[tuple[int, int], tuple[PagingMode, dict[str, None]]] = {}
    for architecture in architectures:
        for mode in architecture.modes:
            for huge in mode.huge_pages:
                _, names = found.setdefault((mode.page_size, huge.size), (mode, {}))
                names[architecture.name] = None
    rows = (
        _row(mode, size, tuple(names), memory, struct_page_size)
        for (_, size), (mode, names) in sorted(found.items(), key=lambda one: one[0])
        if size <= memory
    )
    return tuple(row for row in rows if row.saved)


def _row(mode: PagingMode, size: int, names: tuple[str, ...], memory: int, struct_page_size: int) -> PlanRow:
    saved, count = saved_of(size, mode.page_size, struct_page_size), memory // size
    vmemmap = size // mode.page_size * struct_page_size
    split = mode.level(mode.vmemmap_level)
    tables = 0 if split is mode.last else div_round_up(count * vmemmap, split.size) * mode.last.table_bytes
    percent = round(100 * saved / size, 4)
    return PlanRow(mode.page_size, size, names, vmemmap, saved, percent, memory, count * saved, tables)


def totals(pools: Iterable[PoolSavings]) -> Iterator[tuple[int, int | None, int]]:
    """Yield size, bytes saved (None: cannot tell) and bytes that could be saved, of all pools of each size."""
    by_size: dict[int, list[PoolSavings]] = {}
    for pool in pools:
        by_size.setdefault(pool.size, []).append(pool)
    for size, each in by_size.items():
        saved = [pool.saved for pool in each]
        known = None if None in saved else sum(one or 0 for one in saved)
        yield size, known, sum(pool.possible for pool in each)
