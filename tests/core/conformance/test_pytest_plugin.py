# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: tests of other architectures are left out, the kit's outcomes close the run, however it is run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

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
#: A project that has an option and a marker of the names that hvolab would like, and does not know of hvolab.
STRANGER = """
def pytest_addoption(parser):
    parser.addoption("--arch")

def pytest_configure(config):
    config.addinivalue_line("markers", "arch(numbers): the stranger's own")
"""


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ((), 3),
        (("--hvolab-arch", "riscv"), 2),
        (("--hvolab-arch", "amd64,riscv"), 3),
        (("--hvolab-arch", "amd64", "--hvolab-arch", "riscv"), 3),
        (("--hvolab-arch", "all"), 3),
    ],
)
def test_tests_of_other_architectures_are_deselected(
    pytester: pytest.Pytester, options: tuple[str, ...], passed: int
) -> None:
    pytester.makepyfile(SUITE)
    pytester.inline_run("-p", NAME, *options).assertoutcome(passed=passed)


def test_an_unknown_architecture_is_wrong_use(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    assert pytester.inline_run("-p", NAME, "--hvolab-arch", "vax").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.slow
def test_the_summary_closes_a_run_and_is_written_where_the_option_says(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.makepyfile(KIT)
    result = pytester.inline_run("-p", NAME, "--hvolab-report", "report.json")
    passed, _, failed = result.listoutcomes()
    report = json.loads((pytester.path / "report.json").read_text())
    (riscv,) = report["architectures"]
    assert (riscv["architecture"], riscv["passed"], failed) == ("riscv", len(passed), [])
    assert (report["errors"], report["complete"]) == ([], True)
    assert "hvolab conformance" in capsys.readouterr().out


def test_errors_of_tests_and_modules_without_an_outcome_are_in_the_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_a="1 / 0", test_b="def test_b(): 1 / 0", test_c="def test_c(): pass")
    pytester.inline_run("-p", NAME, "--continue-on-collection-errors", "--hvolab-report", "report.json")
    report = json.loads((pytester.path / "report.json").read_text())
    assert [error.partition(":")[0] for error in report["errors"]] == ["test_a.py", "test_b.py"]
    assert "ZeroDivisionError" in report["errors"][0]


def test_without_the_option_all_architectures_are_selected(pytestconfig: pytest.Config) -> None:
    chosen = pytestconfig.getoption("hvolab_arch")
    assert (pytest_plugin.selected(pytestconfig) is None) is (not chosen or "all" in chosen)


def python(pytester: pytest.Pytester, *options: str, **environment: str) -> pytest.RunResult:
    """Run pytest in a process of its own that finds what this one finds, warnings being errors."""
    paths = os.pathsep.join(path for path in sys.path if path)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PYTHONPATH": paths, "PYTHONWARNINGS": "error", **environment}.items():
            patch.setenv(name, value)
        flags = [option for option in options if option.startswith("-O")]
        return pytester.run(sys.executable, *flags, "-m", "pytest", "--strict-markers", *options[len(flags) :])


ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (("-OO", "-p", NAME), {}),
        (("-p", NAME, "-p", "xdist", "-n", "2"), ALONE),
        (("-p", NAME, "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:capture"), ALONE),
        (("-p", "no:xdist", "-W", "error"), {}),
    ],
    ids=["optimized", "two processes", "without pytest's own", "by the class alone"],
)
def test_the_kit_works_however_pytest_is_run(
    pytester: pytest.Pytester, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    pytester.makepyfile(KIT.replace("geometry.checks)", "geometry.checks)[:2]"))
    asked = NAME in options
    report = ("--hvolab-report", "report.json") if asked else ()
    result = python(pytester, *options, *report, **environment)
    assert result.ret == 0, result.outlines + result.errlines
    if asked:
        written = json.loads(Path("report.json").read_text(encoding="ascii"))
        assert (written["architectures"][0]["failed"], written["errors"]) == (0, [])
    if "no:terminal" not in options:
        result.stdout.fnmatch_lines(["*= hvolab conformance =*", "riscv: * checks passed (100 %)*"])


@pytest.mark.slow
def test_options_and_markers_of_a_stranger_do_not_collide_with_the_kits(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(STRANGER)
    body = "assert request.config.option.arch == 'vax'"
    stranger = f"import pytest\n@pytest.mark.arch([1])\ndef test_it(request): {body}\n"
    pytester.makepyfile(test_stranger=stranger, test_kit=KIT.replace("geometry.checks)", "geometry.checks)[:1]"))
    result = python(pytester, "-p", NAME, "--arch", "vax", **ALONE)
    assert result.ret == 0, result.outlines


@pytest.mark.slow
def test_several_processes_report_failures_in_the_order_of_the_kit(pytester: pytest.Pytester) -> None:
    wrong = (
        "from dataclasses import replace\n"
        "EXAMPLE = replace(RISCV.examples[3], raw=0x402B0CC7)\n"
        "RISCV = replace(RISCV, examples=(EXAMPLE,), figures=(replace(RISCV.figures[0], huge_pages=()),))"
    )
    kit = KIT.replace("    checks = tuple(geometry.checks)\n", "").replace("\nclass", f"{wrong}\n\nclass")
    pytester.makepyfile(kit)
    result = python(pytester, "-p", NAME, "-p", "xdist", "-n", "2", "-k", "known", **ALONE)
    headings = [line.strip("_ ") for line in result.outlines if line.startswith("__")]
    assert [line.partition("[")[0].partition(".")[2] for line in headings] == [
        *["test_known_entries_have_their_pgprot"] * 3,
        "test_known_figures_hold",
    ]


@pytest.mark.slow
def test_a_run_in_which_a_check_is_blocked_by_one_that_is_not_selected_has_failed(pytester: pytest.Pytester) -> None:
    wrong = (
        "from hvolab.arch import PgprotRole\n"
        "from tests.core.conformance.slips import in_pgprots\n"
        "RISCV = in_pgprots(RISCV, PgprotRole.KERNEL, drop=('G',))"
    )
    kit = KIT.replace("    checks = tuple(geometry.checks)\n", "").replace("\nclass", f"{wrong}\n\nclass")
    pytester.makepyfile(kit)
    result = python(pytester, "-p", NAME, "-k", "have_their_pgprot", **ALONE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*blocked: known_entries_have_their_pgprot*", "*rests on page_kernel_ro_is_read_only*"]
    )
