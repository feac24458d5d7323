# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab verify`: JSON for each mode, and tables that end with a conclusion."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from hvolab.cli.app import build_app
from hvolab.invariants import Finding
from hvolab.invariants.rules.stores import STORES
from hvolab.schema import schema_of
from hvolab.serialize import as_data
from hvolab_unicorn.commands.verify_report import VerifyReport, report_of, show_verifications
from hvolab_unicorn.verify import ProbeCounts, ProbeMismatch, ProbeRecord, Verification
from tests.plugins.hvolab_unicorn.verify.targets import few
from tests.schemas import faults

RECORD = ProbeRecord("store", "to a tail", ["no fault", "no fault"])
RIGHT = Verification(few(), ProbeCounts(huge_pages=3, tails=269), records={("store", "to a tail"): RECORD})
MISMATCH = ProbeMismatch("a store", 1, 0x1000, "no fault", "esr=0x1")


@pytest.fixture(autouse=True)
def _wide_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print tables unbroken, whatever COLUMNS the caller of pytest has set."""
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.slow
@pytest.mark.arch("arm64")
def test_json_lists_each_mode_and_what_is_not_emulated() -> None:
    options = ["--arch", "arm64", "--mode", "64K-42bit", "--mode", "64K-52bit", "--json"]
    result = CliRunner().invoke(build_app(), ["verify", *options])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    [mode] = report["modes"]
    assert {key: mode[key] for key in ("mode", "huge_pages", "tails", "mismatches")} == {
        "mode": "64K-42bit",
        "huge_pages": 3,
        "tails": 269,
        "mismatches": 0,
    }
    [refused] = report["not_emulated"]
    assert refused["mode"] == "64K-52bit"
    assert "52-bit VA" in refused["reason"]
    assert report["mismatches"] == 0


def test_tables_show_counts_instructions_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    show_verifications([RIGHT], [(few(), "it has no such instruction")])
    out = capsys.readouterr().out
    assert "64K-42bit  3           269" in out
    assert "str x1, [x0]" in out
    assert "to a tail, CPUs 0 and 1" in out
    assert "is not emulated: it has no such instruction" in out
    assert out.rstrip().endswith("All as declared: 1 mode, 0 declared findings, 0 mismatches")


def test_mismatches_and_findings_are_listed_up_to_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding(STORES, "a store changed the head", "VA 0x1000")
    wrong = replace(RIGHT, mismatches=[MISMATCH] * 10, findings=[finding])
    assert not wrong.as_declared
    show_verifications([wrong], [])
    out = capsys.readouterr().out
    assert out.count(str(MISMATCH)) == 8
    assert "64K-42bit: and 2 more" in out
    assert "a store changed the head (not declared); VA 0x1000" in out
    assert "1 mode: 10 mismatches, 1 findings that are not declared" in out


def test_json_has_vas_as_hex_and_the_expected_result() -> None:
    finding = Finding(STORES, "a store changed the head", "VA 0x1000")
    refused = [(RIGHT.target, "no sequence")]
    data = as_data(report_of([replace(RIGHT, mismatches=[MISMATCH], findings=[finding])], refused))
    assert faults(schema_of(VerifyReport), data) == []
    assert [one["reason"] for one in data["not_emulated"]] == ["no sequence"]
    (mode,) = data["modes"]
    expected = {"what": "a store", "cpu": 1, "va": "0x1000", "expected": "no fault", "seen": "esr=0x1"}
    assert (mode["mismatches"], mode["mismatching"]) == (1, [expected])
    assert mode["seen"] == [{"step": "store", "what": "to a tail", "cpus": ["no fault", "no fault"]}]
