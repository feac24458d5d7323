# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab report`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hvolab.cli import output
from hvolab.cli.app import build_app
from tests.plugins.hvolab_report.runs import recorded


def test_a_timeline_and_a_trace_are_written_of_saved_steps(tmp_path: Path) -> None:
    steps, page = tmp_path / "steps.json", tmp_path / "page.html"
    recorded().write(steps)
    trace = tmp_path / "steps.pftrace"
    result = CliRunner().invoke(build_app(), ["report", str(steps), "--html", str(page), "--perfetto", str(trace)])
    assert result.exit_code == 0, result.output
    assert trace.stat().st_size > 10_000
    assert "hvolab-timeline" in page.read_text("utf-8")


def test_without_a_file_to_write_nothing_is_read(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["report", str(tmp_path / "none.json")])
    assert result.exit_code == 2
    assert "--perfetto" in result.output


def test_two_recordings_are_written_side_by_side(tmp_path: Path) -> None:
    before, after, page = (tmp_path / name for name in ("before.json", "after.json", "page.html"))
    recorded(1).write(before)
    recorded(1, 4).write(after)
    result = CliRunner().invoke(build_app(), ["report", str(before), str(after), "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert "first difference" in result.output
    assert "<h1>before against after</h1>" in page.read_text("utf-8")


def test_what_is_being_done_is_shown_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, page, shown = tmp_path / "steps.json", tmp_path / "page.html", io.StringIO()
    recorded(1).write(steps)
    monkeypatch.setattr(output, "console", lambda **_: Console(file=shown, force_terminal=True))
    monkeypatch.setattr(output, "shown_later", lambda display: display)  # at once, not after a second
    result = CliRunner().invoke(build_app(), ["report", str(steps), "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert "write page.html" in shown.getvalue()
