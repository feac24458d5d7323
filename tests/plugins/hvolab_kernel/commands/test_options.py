# SPDX-License-Identifier: GPL-2.0-only
"""Options that commands about kernels share."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.hvolab_kernel.cli_runner import hvolab


def test_a_number_of_processes_below_one_is_refused(image: Path) -> None:
    result = hvolab("kernel", image, "--jobs", "0")
    assert result.exit_code == 2
    assert "--jobs" in result.stderr


def test_an_executor_that_is_not_known_ends_with_a_hint_and_2(image: Path) -> None:
    result = hvolab("kernel", image, "--executor", "ray://here", "--scenario", "2M boot: optimize twice")
    assert result.exit_code == 2
    assert "dask://HOST:PORT" in result.stderr
