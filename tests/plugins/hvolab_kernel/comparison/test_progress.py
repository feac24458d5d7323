# SPDX-License-Identifier: GPL-2.0-only
"""Progress: on a terminal a bar with a rate and the time left, elsewhere nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hvolab_kernel.comparison import progress
from hvolab_kernel.comparison.progress import show_progress


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_counts_cases_on_a_terminal(*, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=120)
    monkeypatch.setattr(progress, "console", lambda **_: console)
    with show_progress(4) as on_progress:
        on_progress(1, 10, 5)
        on_progress(2, 20, 20)
    assert ("2 of 4 scenarios" in shown.getvalue()) is terminal
    assert ("20 cases" in shown.getvalue()) is terminal
    assert ("left" in shown.getvalue()) is terminal
