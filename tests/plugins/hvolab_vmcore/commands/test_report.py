# SPDX-License-Identifier: GPL-2.0-only
"""Output of a scan: every part that the core does not hold is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.commands.report import headline, print_scan, scan_data
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, OPTIMIZED_1G, changed, scanned, slot_of, va_of


def test_frames_that_the_core_does_not_hold_are_counted() -> None:
    data = scan_data(scanned(OPTIMIZED_1G))
    assert data["absent"] == {"frames": 8128, "tables": []}
    assert "8128 frames" in data["assumptions"][0]


def test_a_table_that_the_core_does_not_hold_is_reported_and_the_rest_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slot, raw = slot_of(BOOT, va_of(0x80000))
    absent = 0x12345000 | 0x67
    found = scan(open_snapshot(changed(BOOT, {slot: absent}, tmp_path / "changed.core")))
    data = scan_data(found)
    assert raw & 0x80
    (table,) = data["absent"]["tables"]
    assert (table["va"], table["level"], table["pa"]) == (hex(va_of(0x80000)), "pmd", "0x12345000")
    print_scan(found)
    assert "cannot check the vmemmap below page tables that are not in the core: 1" in capsys.readouterr().out


def test_the_headline_names_kernel_architecture_and_mode() -> None:
    assert headline(scanned(BOOT).snapshot) == "6.12.107+deb13-amd64, x86_64, 4-level"


def test_without_absent_frames_nothing_is_left_unchecked(capsys: pytest.CaptureFixture[str]) -> None:
    found = scan(open_snapshot(BOOT))
    assert found.snapshot.memory.present is not None
    found.snapshot.memory.present[:] = True
    print_scan(found)
    output = capsys.readouterr().out
    assert "cannot check" not in output
    assert output.endswith("no problems found\n")
