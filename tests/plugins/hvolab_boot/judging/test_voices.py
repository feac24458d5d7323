# SPDX-License-Identifier: GPL-2.0-only
"""A step that a booted kernel did is repeated in three ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hvolab_boot.judging.voices import replay_all
from tests.kernel_images import command_for, images_directory
from tests.plugins.hvolab_boot.guests import OPTIMIZED, RESTORED, readings, stage

IMAGE = images_directory() / "x86_64-6.12.image"


@pytest.fixture
def image() -> Path:
    if not IMAGE.exists():
        pytest.skip(f"there is no image: {command_for('x86_64-6.12')}")
    return IMAGE


@pytest.mark.slow
def test_all_voices_do_what_the_kernel_did(image: Path) -> None:
    stages = [stage("resize 2M 8", OPTIMIZED, readings(8)), stage("shrink", RESTORED, readings())]
    ((pair, findings),) = replay_all(stages, image, lambda _: None)
    assert [(one.voice, one.verdict) for one in pair.voices] == [
        ("model", "no differences"),
        ("emulated", "no differences"),
        ("own code", "no differences"),
    ]
    assert all(one.compared > 500 for one in pair.voices)
    assert (pair.before, pair.after, pair.release, findings) == ("resize 2M 8", "shrink", "6.12.117", [])


def test_what_a_stress_did_is_not_repeated() -> None:
    before, after = stage("resize 2M 8", OPTIMIZED, readings(8)), stage("stress 5", RESTORED, readings())
    stressed = replace(after, stage=replace(after.stage, done=()))
    assert list(replay_all([before, stressed], IMAGE, lambda _: None)) == []


@pytest.mark.slow
def test_a_difference_is_a_finding_with_its_place(image: Path) -> None:
    # heads that the restore left have no place in memory where pages are optimized
    stages = [stage("boot", RESTORED, readings()), stage("back", OPTIMIZED, readings(8))]
    ((pair, findings),) = replay_all(stages, image, lambda _: None)
    assert {one.verdict for one in pair.voices} == {"differences"}
    assert [one.count for one in findings] == [one.differences for one in pair.voices]
    assert all(one.kind == "difference" and "at VA 0xffff" in one.text for one in findings)


def test_a_replay_that_cannot_be_done_is_no_finding(image: Path) -> None:
    other = OPTIMIZED.parents[1] / "x86_64-6.12-4level" / "3-restored.core.xz"
    stages = [stage("boot", OPTIMIZED, readings(8)), stage("then", other, readings())]
    ((pair, findings),) = replay_all(stages, image, lambda _: None)
    assert {one.verdict for one in pair.voices} == {"not run"}
    assert all("different kernels" in one.why for one in pair.voices)
    assert findings == []


def test_memory_that_was_not_read_is_not_repeated(image: Path) -> None:
    stages = [stage("boot", None, readings()), stage("then", RESTORED, readings())]
    assert list(replay_all(stages, image, lambda _: None)) == []
