# SPDX-License-Identifier: GPL-2.0-only
"""Configurations of one command over processes, and campaigns from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.plugins.hvolab_explorer.commands.invoking import invoke
from tests.schemas import fitting

RACE = "allocate A, taker-6.11 A.64"


@pytest.mark.slow
def test_a_campaign_leaves_a_report_and_explores_nothing_twice(tmp_path: Path) -> None:
    words = "--campaign", str(tmp_path / "new" / "folder"), "--actors", RACE, "--release", "6.12", "--json"
    first = invoke(*words)
    assert first.exit_code == 1, first.output
    folder = tmp_path / "new" / "folder"
    results = (folder / "results.jsonl").read_text()
    assert json.loads((folder / "report.json").read_text()) == fitting("explore", first.stdout)
    assert "finding of" in (folder / "report.txt").read_text()
    assert invoke(*words).stdout == first.stdout
    assert (folder / "results.jsonl").read_text() == results


@pytest.mark.slow
def test_several_processes_print_what_one_prints() -> None:
    words = "--split", "--actors", "optimize A, optimize B", "--json"
    assert invoke(*words, "--jobs", "2").stdout == invoke(*words, "--jobs", "1").stdout


def test_an_executor_that_does_not_exist_is_refused() -> None:
    result = invoke("--actors", "optimize A", "--executor", "ray://x")
    assert result.exit_code == 2
    assert "unknown executor" in result.output


@pytest.mark.slow
def test_an_interrupt_says_what_was_done_and_leaves_a_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hvolab", "explore", "--fail", "1", "--campaign", str(tmp_path), "--jobs", "1"]
    path = os.pathsep.join(each for each in sys.path if each)
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        results = tmp_path / "results.jsonl"
        while not results.exists() or results.read_text().count("\n") < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "configurations explored" in errors
    assert "the same command continues" in errors
    assert "configurations on targets explored" in (tmp_path / "report.txt").read_text()
