# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: tests of other architectures are left out, and the kit's outcomes close the run."""

from __future__ import annotations

import json

import pytest

from hvolab.conformance import pytest_plugin

pytest_plugins = ("pytester",)
NAME = "hvolab.conformance.pytest_plugin"

SUITE = """
import pytest

@pytest.mark.arch("riscv")
def test_of_riscv(record_property): pass

@pytest.mark.arch("arm64", "x86_64")
def test_of_two(): pass

def test_of_none(): pass
"""

KIT = """
from hvolab.conformance import Conformance
from hvolab.conformance.checks import geometry
from hvolab_riscv.description import RISCV

class TestMine(Conformance):
    architecture = RISCV
    checks = tuple(geometry.checks)
"""


@pytest.mark.parametrize(
    ("options", "passed"), [((), 3), (("--arch", "riscv"), 2), (("--arch", "amd64,riscv"), 3), (("--arch", "all"), 3)]
)
def test_tests_of_other_architectures_are_deselected(
    pytester: pytest.Pytester, options: tuple[str, ...], passed: int
) -> None:
    pytester.makepyfile(SUITE)
    pytester.inline_run("-p", NAME, *options).assertoutcome(passed=passed)


def test_an_unknown_architecture_is_wrong_use(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    assert pytester.inline_run("-p", NAME, "--arch", "vax").ret == pytest.ExitCode.USAGE_ERROR


def test_the_summary_closes_a_run_and_is_written_where_the_option_says(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.makepyfile(KIT)
    result = pytester.inline_run("-p", NAME, "--conformance-report", "report.json")
    passed, _, failed = result.listoutcomes()
    report = json.loads((pytester.path / "report.json").read_text())
    (riscv,) = report["architectures"]
    assert (riscv["architecture"], riscv["passed"], failed) == ("riscv", len(passed), [])
    assert "hvolab conformance" in capsys.readouterr().out


def test_without_the_option_all_architectures_are_selected(pytestconfig: pytest.Config) -> None:
    chosen = pytestconfig.getoption("--arch")
    assert (pytest_plugin.selected(pytestconfig) is None) is (not chosen or "all" in chosen)
