# SPDX-License-Identifier: GPL-2.0-only
"""Reports that options name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hvolab.cli.reports import Reports
from hvolab.errors import UsageError
from tests.core.cli.conftest import Invoke

SMALL = ("run", "--arch", "x86_64", "--memory", "256M", "--hugepages", "2M=1")


def test_without_an_option_nothing_listens() -> None:
    with Reports(html=None) as recorder:
        assert recorder is None


def test_a_kind_that_no_plugin_writes_and_a_missing_folder_are_named_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plugin writes reports of the kind 'film'"):
        Reports(film=tmp_path / "film")
    with pytest.raises(UsageError, match="the folder does not exist"):
        Reports(trace=tmp_path / "none" / "steps.json")


def test_a_run_writes_its_reports(invoke: Invoke, tmp_path: Path) -> None:
    names = {"html": "page.html", "trace": "steps.json", "perfetto": "steps.pftrace"}
    options = [word for kind, name in names.items() for word in (f"--{kind}", str(tmp_path / name))]
    result = invoke(*SMALL, *options)
    assert result.exit_code == 0, result.output
    (voice,) = json.loads((tmp_path / "steps.json").read_text("utf-8"))["voices"]
    assert voice["steps"] > 50
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    written = [word for name in names.values() for word in ("written", str(tmp_path / name))]
    assert "".join(result.stdout.split()).endswith("".join(written))  # a long path is cut into lines
    assert (tmp_path / "steps.pftrace").stat().st_size > 10_000
    assert json.loads(invoke(*SMALL, "--json", "--trace", str(tmp_path / "again.json")).stdout)
