# SPDX-License-Identifier: GPL-2.0-only
"""A scan as data: every part that the core does not hold is in it."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.commands.report_data import scan_data, selection
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    changed,
    scanned,
    slot_of,
    va_of,
)


def test_frames_that_the_core_does_not_hold_are_counted() -> None:
    assert scan_data(scanned(OPTIMIZED_1G))["absent"] == {"frames": 8128, "tables": []}


def test_a_table_that_the_core_does_not_hold_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    slot, raw = slot_of(BOOT, va_of(0x80000))
    absent = 0x12345000 | 0x67
    data = scan_data(scan(open_snapshot(changed(BOOT, {slot: absent}, tmp_path / "changed.core"))))
    assert raw & 0x80
    (table,) = data["absent"]["tables"]
    assert table == {"va": hex(va_of(0x80000)), "level": "pmd", "entry": hex(absent), "pa": "0x12345000"}


def test_a_pfn_selects_the_huge_page_that_holds_it() -> None:
    chosen = selection(scanned(OPTIMIZED_1G), [FIRST_FOLIO + 511, GIGANTIC + 12345, 1], problems=False)
    assert {order: int(flags.sum()) for order, flags in chosen.items()} == {18: 1, 9: 1}
    listed = [page["pfn"] for page in scan_data(scanned(OPTIMIZED_1G), chosen)["huge_pages"]]
    assert listed == [hex(GIGANTIC), hex(FIRST_FOLIO)]
    assert not any(flags.any() for flags in selection(scanned(OPTIMIZED_1G), (), problems=True).values())
