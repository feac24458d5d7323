# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab kernel` as a user types it, as far as no kernel's code runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


def test_the_scenarios_of_an_image_are_listed_all_or_by_name(image: Path) -> None:
    every = as_json("kernel", image, "--list")
    some = as_json("kernel", image, "--list", "--scenario", "2M boot: optimize twice")
    assert len(every) > 100
    assert len(some) == 1
    assert some[0] in every


def test_a_name_that_no_scenario_has_ends_with_a_hint_and_2(image: Path) -> None:
    result = hvolab("kernel", image, "--scenario", "nothing")
    assert result.exit_code == 2
    assert "--list" in result.stderr


@pytest.mark.parametrize("options", [["--callers"], ["--against", "rules"]])
def test_a_timeline_that_has_not_two_voices_is_refused_before_anything_runs(
    image: Path, tmp_path: Path, options: list[str]
) -> None:
    result = hvolab("kernel", image, *options, "--trace", tmp_path / "steps.json")
    assert result.exit_code == 2
    assert options[-1] in result.stderr
    assert not (tmp_path / "steps.json").exists()
