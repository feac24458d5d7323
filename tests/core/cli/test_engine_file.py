# SPDX-License-Identifier: GPL-2.0-only
"""Engines in files: what is found in them, and what is wrong use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hvolab.cli.engine_file import engine_in_file, is_engine_file
from hvolab.errors import UsageError
from tests.core.cli.conftest import Invoke

ENGINES = """
from hvolab.hvo import Hvo

class NoGracePeriod(Hvo):
    def __init__(self, machine):
        super().__init__(machine)
        self._rcu = 0

class Whole(Hvo):
    pass

class Stuck(Hvo):
    def optimize_folios(self, h, folio_list):
        while True:
            self.machine.flush_tlb_all()

class Nothing:
    sizes = folio_optimized = None

number = 3
"""
SMALL = ("--arch", "x86_64", "--memory", "256M", "--hugepages", "2M=2")


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    path = tmp_path / "my_engine.py"
    path.write_text(ENGINES, encoding="utf-8")
    return path


def test_a_file_is_told_from_a_kind() -> None:
    assert all(map(is_engine_file, ("x.py", "./x.py:Y", "x.py:")))
    assert not any(map(is_engine_file, ("model", "kernel")))


def test_an_engine_without_a_line_ends_in_findings(engines: Path, invoke: Invoke) -> None:
    result = invoke("run", *SMALL, "--engine", f"{engines}:NoGracePeriod", "--json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert {finding["rule"] for finding in findings} == {"grace_periods"}
    frozen = r"the tails of folio PFN 0x1200 became read-only with no grace period since it was frozen"
    assert re.fullmatch(frozen, findings[0]["what"])


@pytest.mark.parametrize("vmemmap", ["boot", "buddy", "self-hosted"])
def test_a_whole_one_is_as_declared(engines: Path, invoke: Invoke, vmemmap: str) -> None:
    options = ("--engine", f"{engines}:Whole", "--cpus", "3", "--vmemmap", vmemmap)
    result = invoke("run", *SMALL, *options, "--do", "optimize, dissolve, shrink", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["cpus"], report["vmemmap"], report["findings"]) == (0, 3, vmemmap, [])


def test_a_loop_is_a_finding(engines: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvolab.cli.options.PATIENCE", 0.1)
    result = invoke("run", *SMALL, "--engine", f"{engines}:Stuck")
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "without a change of the machine" in text
    assert "Stuck.optimize_folios() (my_engine.py:" in text


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("nope.py:X", "no file 'nope.py'", "FILE.py:NAME"),
        ("{0}:Hole", "has no 'Hole'", "Whole"),
        ("{0}:number", "has no 'number'", ""),
        ("{0}", "names no class", "NoGracePeriod"),
        ("{0}:Nothing", "it lacks optimize_folio, optimize_folios, restore_folio, restore_folios", "hvolab.hvo.Hvo"),
    ],
)
def test_what_is_no_engine_is_wrong_use(engines: Path, invoke: Invoke, name: str, what: str, hint: str) -> None:
    result = invoke("run", *SMALL, "--engine", name.format(engines))
    assert result.exit_code == 2
    assert re.search(what, result.stderr)
    assert hint in result.stderr


@pytest.mark.parametrize("source", ["1/0", "raise SystemExit(3)", "def broken(:"])
def test_a_file_that_raises_is_wrong_use(tmp_path: Path, source: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(UsageError, match="raises"):
        engine_in_file(f"{path}:X")
