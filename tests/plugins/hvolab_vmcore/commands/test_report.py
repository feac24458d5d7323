# SPDX-License-Identifier: GPL-2.0-only
"""Output of a scan: every part that the core does not hold is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.commands.report import print_summary
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, changed, slot_of, va_of


def test_a_table_that_the_core_does_not_hold_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slot, _ = slot_of(BOOT, va_of(0x80000))
    print_summary(scan(open_snapshot(changed(BOOT, {slot: 0x12345000 | 0x67}, tmp_path / "changed.core"))))
    assert "cannot check the vmemmap below page tables that are not in the core: 1" in capsys.readouterr().out


def test_without_absent_frames_nothing_is_left_unchecked(capsys: pytest.CaptureFixture[str]) -> None:
    found = scan(open_snapshot(BOOT))
    assert found.snapshot.memory.present is not None
    found.snapshot.memory.present[:] = True
    print_summary(found)
    output = capsys.readouterr().out
    assert "cannot check" not in output
    assert "\nno problems found\n" in output
