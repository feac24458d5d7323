# SPDX-License-Identifier: GPL-2.0-only
"""Scan of real kernels' cores: huge pages, and the memory saved."""

from __future__ import annotations

import json

import pytest

from hvolab_vmcore.commands.report_data import scan_data
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    CAPTURES,
    FIRST_FOLIO,
    FOLDERS,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    RESTORED,
    scanned,
)

RW, DIRTY = 1 << 1, 1 << 6
PRIVATE, PAGE_TYPE = 40, 48


def stages() -> list[tuple[str, str]]:
    return [
        (folder.name, stage["file"])
        for folder in FOLDERS
        for stage in json.loads((folder / "capture.json").read_text())["stages"]
    ]


@pytest.mark.parametrize(("folder", "file"), stages())
def test_a_scan_finds_the_huge_pages_that_the_kernel_itself_reported(folder: str, file: str) -> None:
    capture = json.loads((CAPTURES / folder / "capture.json").read_text())
    (stage,) = (stage for stage in capture["stages"] if stage["file"] == file)
    pool = {int(folio["pfn"], 16): folio["size"] for folio in stage["folios"] if folio["in_pool"]}
    data = scan_data(scanned(CAPTURES / folder / file))
    assert {int(page["pfn"], 16): page["size"] for page in data["huge_pages"]} == pool
    assert {page["state"] for page in data["huge_pages"]} <= {"optimized"}
    assert all(page["bit"] for page in data["huge_pages"])
    assert data["savings"]["frames"] == sum(size // capture["page_size"] // 64 - 1 for size in pool.values())
    assert all(finding["declared"] for finding in data["findings"])


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
