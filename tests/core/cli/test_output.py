# SPDX-License-Identifier: GPL-2.0-only
"""Output: color for terminals, and an end with the pipe that reads it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading

import pytest
from rich.console import Console
from rich.status import Status

from hvolab.cli import output
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


def test_progress_is_shown_on_a_terminal_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.progress("first") as report:
        report("second")
    assert capsys.readouterr() == ("", "")
    shown = threading.Event()
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(output, "console", lambda **_: terminal)
    monkeypatch.setattr(output, "_PATIENCE", 0.0)
    start = Status.start

    def start_and_tell(status: Status) -> None:
        start(status)
        shown.set()

    monkeypatch.setattr(Status, "start", start_and_tell)
    with output.progress("first") as report:
        assert shown.wait(10)
        report("second")
    assert isinstance(terminal.file, io.StringIO)
    assert "second" in terminal.file.getvalue()
    with output.progress("quiet", quiet=True):
        pass
    assert "quiet" not in terminal.file.getvalue()


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
