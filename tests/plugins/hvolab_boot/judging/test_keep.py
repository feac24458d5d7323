# SPDX-License-Identifier: GPL-2.0-only
"""Cores that a boot keeps: small, and with the findings of the whole ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import UsageError
from hvolab.machine import FrameState
from hvolab_boot.judging.keep import keep
from hvolab_boot.judging.result import BootReport
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.releases import open_scan
from tests.plugins.hvolab_boot.guests import OPTIMIZED, RESTORED, readings, report, scan_of, stage

STAGES = [stage("resize 2M 8", OPTIMIZED, readings(8)), stage("shrink", RESTORED, readings())]


def of_two_stages() -> BootReport:
    made = report()
    (only,) = made.stages
    return replace(
        made, image="/linux/bzImage", qemu="qemu -kernel /linux/bzImage", stages=(only, replace(only, name="shrink"))
    )


def test_kept_cores_have_the_findings_and_huge_pages_of_the_whole_ones(tmp_path: Path) -> None:
    kept = keep(tmp_path, of_two_stages(), STAGES)
    assert [one.file for one in kept.stages] == ["0-resize-2M-8.core.xz", "1-shrink.core.xz"]
    for one, whole in zip(kept.stages, (scan_of(OPTIMIZED), scan_of(RESTORED)), strict=True):
        small = open_scan(tmp_path / one.file)
        assert (small.kinds(), small.savings, small.snapshot.target) == (
            whole.kinds(),
            whole.savings,
            whole.snapshot.target,
        )
        assert (tmp_path / one.file).stat().st_size < 32 << 10
    first, last = (tmp_path / one.file for one in kept.stages)
    assert replay(first, last).differences == ()


def test_the_report_beside_them_names_files_and_not_this_computer(tmp_path: Path) -> None:
    kept = keep(tmp_path, of_two_stages(), STAGES)
    data = json.loads((tmp_path / "capture.json").read_text())
    assert (data["image"], data["qemu"]) == ("bzImage", "qemu -kernel bzImage")
    assert [one["file"] for one in data["stages"]] == [one.file for one in kept.stages]
    assert (kept.image, data["verdict"]) == ("/linux/bzImage", "no problems")


def test_of_huge_pages_that_are_still_to_come_the_first_frames_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hvolab_boot.judging.keep._BEFORE", 2)
    stages = [stage("boot", RESTORED, readings()), stage("resize 2M 8", OPTIMIZED, readings(8))]
    kept = keep(tmp_path, of_two_stages(), stages)
    before = open_scan(tmp_path / kept.stages[0].file)
    first = scan_of(OPTIMIZED).pages.numbers[scan_of(OPTIMIZED).huge_pages[-1].rows[0]]
    known = before.snapshot.memory.states(before.pages.frames_of(first + np.array((0, 1, 2, 7))))
    assert known.tolist() == [FrameState.SAVED, FrameState.SAVED, FrameState.ABSENT, FrameState.ABSENT]


def test_a_stage_without_memory_has_no_core(tmp_path: Path) -> None:
    kept = keep(tmp_path, of_two_stages(), [stage("boot", None, readings()), STAGES[1]])
    assert [one.file for one in kept.stages] == ["", "1-shrink.core.xz"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["1-shrink.core.xz", "capture.json"]


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*0-resize-2M-8.core.xz: No such file or directory"):
        keep(tmp_path / "gone", of_two_stages(), STAGES)
