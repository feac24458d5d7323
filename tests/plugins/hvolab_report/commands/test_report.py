# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab report`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from hvolab.cli.app import build_app
from tests.plugins.hvolab_report.runs import recorded


def test_a_timeline_is_written_of_saved_steps(tmp_path: Path) -> None:
    steps, page = tmp_path / "steps.json", tmp_path / "page.html"
    recorded().write(steps)
    result = CliRunner().invoke(build_app(), ["report", str(steps), "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert "hvolab-timeline" in page.read_text("utf-8")
