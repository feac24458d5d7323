# SPDX-License-Identifier: GPL-2.0-only
"""Scan of real kernels' cores: huge pages, and the memory saved."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hvolab_vmcore.commands.report_data import scan_data
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    REPORTS,
    RESTORED,
    STAGES,
    in_folder,
    scanned,
)

RW, DIRTY = 1 << 1, 1 << 6
PRIVATE, PAGE_TYPE = 40, 48


CORES = [core for cores in STAGES.values() for core in cores]


def stage_of(core: Path) -> dict[str, Any]:
    (stage,) = (stage for stage in REPORTS[core.parent.name]["stages"] if stage["file"] == core.name)
    return dict(stage)


def pfns(first: str, count: int) -> range:
    return range(int(first, 16), int(first, 16) + count)


@pytest.mark.parametrize("core", [core for core in CORES if "folios" in stage_of(core)], ids=in_folder)
def test_a_scan_finds_the_huge_pages_that_the_kernel_itself_reported(core: Path) -> None:
    pool = {int(folio["pfn"], 16): folio["size"] for folio in stage_of(core)["folios"] if folio["in_pool"]}
    data = scan_data(scanned(core))
    assert {int(page["pfn"], 16): page["size"] for page in data["huge_pages"]} == pool
    assert {page["state"] for page in data["huge_pages"]} <= {"optimized"}
    assert all(page["bit"] for page in data["huge_pages"])
    assert data["savings"]["frames"] == sum(size // PAGE // 64 - 1 for size in pool.values())
    assert all(finding["declared"] for finding in data["findings"])


@pytest.mark.parametrize("core", [core for core in CORES if "huge" in stage_of(core)], ids=in_folder)
def test_a_scan_has_the_pages_and_counts_that_the_kernels_page_flags_and_pools_have(core: Path) -> None:
    stage, found = stage_of(core), scanned(core)
    data = scan_data(found)
    flagged = {pfn for run in stage["huge"] for pfn in pfns(run["pfn"], run["pages"])}
    inside = {pfn for page in data["huge_pages"] for pfn in pfns(page["pfn"], page["size"] // PAGE)}
    # heads that a wrong restore left have hugetlb's mark too
    stale = set((found.pages.numbers[found.stale_heads] * 64).tolist())
    assert flagged == inside | stale
    assert Counter(page["size"] for page in data["huge_pages"]) == {
        pool["size"]: pool["total"] for pool in stage["pools"] if pool["total"]
    }
    assert data["savings"]["frames"] == stage["saved"]
    findings = [one for one in REPORTS[core.parent.name]["findings"] if one["stage"] == stage["name"]]
    assert found.kinds() == {one["kind"]: one["count"] for one in findings if one["by"] == "memory"}


def test_every_entry_of_a_huge_page_is_the_one_that_the_kernel_reported() -> None:
    data = scan_data(scanned(OPTIMIZED_2M))
    (first,) = (page for page in data["huge_pages"] if page["pfn"] == hex(FIRST_FOLIO))
    assert first["head"]["entry"].startswith("0x80000000054e4163 ")
    (tails,) = first["tails"]
    assert tails["entry"].startswith("0x80000000054e4121 ")
    assert (tails["pages"], tails["pfn"], tails["writable"]) == (7, "0x54e4", False)


def test_a_split_costs_a_page_table_and_stays_after_the_restore() -> None:
    assert scanned(BOOT).savings.splits == 0
    assert scanned(OPTIMIZED_2M).savings.splits == 1
    assert scanned(RESTORED).savings.splits == 9
    assert scanned(RESTORED).savings.frames == 0
    assert scanned(OPTIMIZED_1G).savings.net_bytes == (4095 + 8 * 7 - 9) * PAGE
