# SPDX-License-Identifier: GPL-2.0-only
"""Savings of dumps and machines."""

from __future__ import annotations

from pathlib import Path

from hvolab.plugin import registry
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.savings.report import report_of_dump, report_of_system
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    made,
    scanned,
    slot_of,
    va_of,
    without,
)
from tests.plugins.hvolab_vmcore.savings.machines_on_disk import write_machine

ARCHITECTURES = registry().architectures().values()


def test_a_dump_shows_what_is_saved() -> None:
    report = report_of_dump(scanned(OPTIMIZED_1G), ARCHITECTURES, None)
    assert [(pool.size >> 20, pool.node, pool.optimized, pool.saved, pool.possible) for pool in report.pools] == [
        *((1024, 0, 1, 4095 * 4096, 4095 * 4096), (2, 0, 8, 56 * 4096, 56 * 4096)),
    ]
    assert (report.hvo, report.page_size, report.struct_page_size) == ("cannot tell", 4096, 64)
    assert 2 << 30 < report.memory <= 4 << 30


def test_a_frame_that_huge_pages_share_counts_once() -> None:
    report = report_of_dump(scanned(made("x86_64-7.2", "2-eight-2M")), ARCHITECTURES, 1 << 40)
    (pool,) = report.pools
    assert (pool.optimized, pool.saved, pool.possible) == (8, 55 * 4096, 56 * 4096)
    assert report.memory == 1 << 40


def test_what_was_not_saved_is_a_note(tmp_path: Path) -> None:
    table = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0]
    found = scan(open_snapshot(without(OPTIMIZED_2M, [table], tmp_path / "a.kdump")))
    report = report_of_dump(found, ARCHITECTURES, None)
    assert report.pools == ()
    assert "cannot tell of up to 64 huge pages of 0x200000 bytes" in report.notes


def test_a_machine_has_a_plan_of_its_memory(tmp_path: Path) -> None:
    root = write_machine(tmp_path, {"0/2048": 4})
    report = report_of_system(root, ARCHITECTURES, None)
    assert (report.memory, {row.memory for row in report.plan}) == (64 << 30, {64 << 30})
    assert report_of_system(root, ARCHITECTURES, 1 << 40).memory == 1 << 40
