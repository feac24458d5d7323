# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages in a vmemmap."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.commands.report import scan_data
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    changed,
    made,
    pa_of,
    scanned,
    slot_of,
    va_of,
)

RW, PAGE_TYPE = 1 << 1, 48


def test_a_wrong_tail_in_a_gigantic_page_does_not_hide_the_page(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_1G, va_of(GIGANTIC, 4000))
    core = changed(OPTIMIZED_1G, {slot: raw ^ 0x40000}, tmp_path / "changed.core")
    data = scan_data(scan(open_snapshot(core)))
    assert [(page["pfn"], page["state"]) for page in data["huge_pages"][:2]] == [
        (hex(GIGANTIC), "broken"),
        (hex(FIRST_FOLIO), "optimized"),
    ]
    assert [part["pages"] for part in data["huge_pages"][0]["tails"]] == [3999, 1, 95]


def test_tails_that_share_a_frame_of_their_own_are_recognized_in_any_release(tmp_path: Path) -> None:
    tail_frame = 0x2345 * PAGE
    words = {}
    for pfn in (FIRST_FOLIO, FIRST_FOLIO + 512):
        for page in range(1, 8):
            slot, raw = slot_of(OPTIMIZED_2M, va_of(pfn, page))
            words[slot] = raw & 0x8000000000000FFF | tail_frame
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    pages = {page["pfn"]: page for page in scan_data(found)["huge_pages"]}
    assert pages[hex(FIRST_FOLIO)]["tails_share"] == "tail"
    assert pages[hex(FIRST_FOLIO + 1024)]["tails_share"] == "head"
    assert found.kinds() == {"foreign-frame": 2}  # but most of this kernel's tails share the head's
    assert found.savings.frames == 8 * 7 - 1


def test_huge_pages_of_every_release_are_recognized_by_their_mark() -> None:
    for kernel in ("x86_64-6.1", "x86_64-6.12.117", "x86_64-7.2", "riscv64-6.12.117", "riscv64-7.2"):
        found = scanned(made(kernel, "3-one-1G"))
        assert [int(huge.heads.hugetlb.sum()) for huge in found.huge_pages] == [1, 8]
        assert [huge.heads.orders.tolist() for huge in found.huge_pages] == [[18], [9] * 8]
        # in the cores, restored folios are free blocks
        assert not any(huge.heads.hugetlb.any() for huge in scanned(made(kernel, "4-restored")).huge_pages)


def test_a_device_dax_folio_is_not_a_hugetlb_folio(tmp_path: Path) -> None:
    words = {pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + PAGE_TYPE: 0xFFFFFFFF}
    for page in range(1, 8):
        slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, page))
        words[slot] = raw & 0x8000000000000FFF | 0x2345 * PAGE | RW
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    states = {page["pfn"]: page["state"] for page in scan_data(found)["huge_pages"]}
    assert states[hex(FIRST_FOLIO)] == "device dax"
    assert found.findings == ()
    assert found.savings.frames == 7 * 7
