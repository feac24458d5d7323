# SPDX-License-Identifier: GPL-2.0-only
"""A replay as data: operations, comparisons and omissions."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.serialize import as_data
from hvolab_vmcore.commands.replay_report import report_of
from hvolab_vmcore.replay.replay import replay
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, OPTIMIZED_1G, OPTIMIZED_2M, RESTORED
from tests.schemas import faults, published


@pytest.mark.parametrize(
    ("before", "after", "action", "folios", "entries", "struct_pages"),
    [
        (BOOT, OPTIMIZED_2M, "optimized", 8, 538, 8 * 512),
        (OPTIMIZED_2M, OPTIMIZED_1G, "optimized", 1, 4634, 8 * 512 + (1 << 18)),
        (OPTIMIZED_1G, RESTORED, "restored", 9, 4634, 11705),
    ],
)
def test_a_replay_reports_its_operations_comparisons_and_omissions(
    before: Path, after: Path, action: str, folios: int, entries: int, struct_pages: int
) -> None:
    report = report_of(replay(before, after))
    assert faults(published("replay"), as_data(report)) == []
    assert (report.architecture, report.mode, report.kernel) == ("x86_64", "4-level", "6.12.107+deb13-amd64")
    assert [folio.action for folio in report.folios] == [action] * folios
    assert (report.entries_compared, report.struct_pages_compared) == (entries, struct_pages)
    assert report.differences == ()
    assert any("boot (reserved) memory" in one.why for one in report.left_out)
