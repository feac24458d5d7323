# SPDX-License-Identifier: GPL-2.0-only
"""Output: color for terminals, and an end with the pipe that reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.core.cli.conftest import Invoke, own_environment

X86 = ("--arch", "x86_64")


SMALL = ("--memory", "256M", "--hugepages", "2M=1")


@pytest.mark.parametrize("arguments", [("arches", "x86_64"), ("pte", *X86, "0"), ("run", *X86, *SMALL)])
def test_color_is_for_terminals_that_want_it(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    plain = invoke(*arguments).stdout
    assert "\x1b[" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in invoke(*arguments).stdout
    assert json.loads(invoke(*arguments, "--json").stdout)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    uncolored = invoke(*arguments).stdout
    assert [line.rstrip() for line in uncolored.splitlines()] == plain.splitlines()


@pytest.mark.slow
def test_who_reads_the_output_may_go_away() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "hvolab", "arches", "--json"],
            check=False,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env=own_environment(),
        )
    finally:
        os.close(writing)
    assert result.returncode == 141
    assert "BrokenPipe" not in result.stderr
