# SPDX-License-Identifier: GPL-2.0-only
"""Progress: on a terminal a bar with a rate and the time left, elsewhere nothing."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console
from rich.progress import Progress

from hvolab.cli import output, progress_bar


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_counts_units_on_a_terminal(*, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text, started = io.StringIO(), threading.Event()
    console = Console(file=text, force_terminal=terminal, width=120)
    monkeypatch.setattr(progress_bar, "console", lambda **_: console)
    monkeypatch.setattr(output, "_PATIENCE", 0.0)
    start = Progress.start

    def start_and_set(bar: Progress) -> None:
        start(bar)
        started.set()

    monkeypatch.setattr(Progress, "start", start_and_set)
    with progress_bar.progress_bar("cases") as bar:
        assert started.wait(10 if terminal else 0) is terminal
        bar(5, 40, "1 of 4 scenarios")
        bar(20, 40, "2 of 4 scenarios")
    assert ("2 of 4 scenarios" in text.getvalue()) is terminal
    assert ("20 cases" in text.getvalue()) is terminal
    assert ("left" in text.getvalue()) is terminal


def test_quick_work_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=(text := io.StringIO()), force_terminal=True, width=120)
    monkeypatch.setattr(progress_bar, "console", lambda **_: console)
    with progress_bar.progress_bar("cases") as bar:
        bar(5, 40, "1 of 4 scenarios")
    assert "scenarios" not in text.getvalue()
