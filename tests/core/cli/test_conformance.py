# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab conformance`: refused arguments, exit codes, and nothing of the current folder or of others' pytest runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from hvolab.cli import conformance
from hvolab.cli.errors import ExitCode
from hvolab.conformance.checks import CHECKS
from hvolab.plugin import registry
from tests.core.cli.conftest import Invoke, own_environment
from tests.core.plugin.conftest import site
from tests.core.plugin.site import Site
from tests.schemas import fitting

__all__ = ["site"]

Narrow = Callable[..., None]
#: A plugin with a copy of x86_64, in which one thing is replaced.
CROOKED = """
import os, signal
from dataclasses import replace
from hvolab.arch import PgprotRole
from hvolab.plugin import hookimpl
from hvolab_x86_64.description import X86_64
from tests.core.conformance.slips import in_pgprots

def raises(*arguments):
    {body}

WRITABLE = in_pgprots(X86_64, PgprotRole.KERNEL_RO, add=(("RW", 1),))
RAISING = replace(X86_64, mmu=replace(X86_64.mmu, syndrome=raises))

@hookimpl
def hvolab_architectures():
    return (replace({chosen}, name="crooked", aliases=()),)
"""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Narrow:
    """A function that limits the kit to checks, and to some processes; all else is as the command has it."""
    command = conformance._command

    def limit(expression: str, processes: int) -> None:
        own = ["-k", expression, "-n", str(processes)]
        monkeypatch.setattr(
            conformance, "_command", lambda names, path, options: [*command(names, path, options), *own]
        )

    return limit


@pytest.fixture
def installed(site: Site) -> Iterator[Callable[..., None]]:
    """A function that installs the plugin with the architecture `crooked`."""

    def install(chosen: str, body: str = "pass") -> None:
        site.install("crooked", CROOKED.format(chosen=chosen, body=body))
        registry.cache_clear()

    yield install
    registry.cache_clear()


def test_the_list_has_every_check(invoke: Invoke, invoke_json: Callable[..., Any]) -> None:
    assert [one["name"] for one in invoke_json("conformance", "--list")] == [check.name for check in CHECKS]
    shown = invoke("conformance", "--list").stdout
    assert all(check.name in shown for check in CHECKS)


@pytest.mark.slow
def test_a_mode_and_a_part_of_a_name_select_checks(invoke_json: Callable[..., Any]) -> None:
    report = invoke_json("conformance", "riscv", "--mode", "Sv39", "--check", "levels_tile")
    [riscv] = report["architectures"]
    assert [(one["check"], one["mode"]) for one in riscv["checks"]] == [("levels_tile_the_va", "Sv39")]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "no architecture is named"),
        (["riscv", "--mode", "4-level"], "riscv has no paging mode '4-level'"),
        pytest.param(["riscv", "-k", "nonsense"], "no check has that in its name", marks=pytest.mark.slow),
    ],
)
def test_a_selection_of_nothing_is_refused(invoke: Invoke, arguments: list[str], what: str) -> None:
    result = invoke("conformance", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert what in result.stderr


def test_an_unknown_architecture_is_refused_before_the_kit_runs(invoke: Invoke) -> None:
    result = invoke("conformance", "z80")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no architecture is called 'z80'" in result.stderr


def test_a_missing_test_runner_is_named_with_the_extra_that_has_it(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def find_others(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "hypothesis" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)
    result = invoke("conformance", "x86_64")
    assert result.exit_code == 2
    assert "the conformance kit needs hypothesis" in result.stderr
    assert "hint: pip install 'hvolab[conformance]'" in result.stderr


def test_no_run_of_pytest_loads_the_kits_plugin_by_itself() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(project["entry-points"]) == {"hvolab"}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 2])
def test_neither_the_folder_nor_the_environment_changes_the_run(
    invoke: Invoke, narrow: Narrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    files = {
        "conftest.py": "raise RuntimeError('read')",
        "pytest.ini": "[pytest]\naddopts = --nonsense\n",
        "tox.ini": "[pytest]\naddopts = --nonsense\n",
        "pytest.py": "raise RuntimeError('read')",
        "json.py": "raise RuntimeError('read')",
        "test_other.py": "def test_other(): assert False",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    hostile = {
        "PYTEST_ADDOPTS": "--nonsense -p no:terminal",
        "PYTEST_PLUGINS": "no_such_plugin",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    narrow("the_description_is_sound", processes)
    result = invoke("conformance", "riscv", "--json")
    assert result.exit_code == ExitCode.AS_DECLARED, result.output
    report = fitting("conformance", result.stdout)
    assert (report["errors"], report["complete"]) == ([], True)
    [riscv] = report["architectures"]
    assert (riscv["architecture"], riscv["passed"], riscv["failed"]) == ("riscv", 1, 0)
    assert riscv["checks"][0]["proves"]
    assert {path.name for path in tmp_path.iterdir()} == set(files)


@pytest.mark.slow
def test_a_failed_check_is_exit_code_1(invoke: Invoke, narrow: Narrow, installed: Callable[..., None]) -> None:
    installed("WRITABLE")
    narrow("page_kernel_ro_is_read_only and 4-level", 0)
    result = invoke("conformance", "crooked", "--json")
    assert result.exit_code == ExitCode.FINDING
    [crooked] = fitting("conformance", result.stdout)["architectures"]
    assert crooked["failed"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "processes", "code", "reason"),
    [
        ("raise SystemExit(0)", 0, ExitCode.FINDING, "the check ends with SystemExit: 0"),
        ("os._exit(0)", 0, ExitCode.USAGE, "error[check]: pytest ended before all checks were made"),
        ("os._exit(1)", 1, ExitCode.USAGE, "a_store_to_a_tail_faults"),
        ("os.kill(os.getpid(), signal.SIGINT)", 0, ExitCode.INTERRUPTED, ""),
    ],
    ids=["exits", "ends pytest", "ends a worker", "interrupts"],
)
def test_an_end_of_another_kind_has_its_own_exit_code(
    invoke: Invoke, narrow: Narrow, installed: Callable[..., None], body: str, processes: int, code: int, reason: str
) -> None:
    installed("RAISING", body)
    narrow("a_store_to_a_tail_faults and 4-level", processes)
    result = invoke("conformance", "crooked", "--json")
    assert result.exit_code == code, result.output
    assert reason in result.output


@pytest.mark.slow
def test_a_reader_that_closes_the_pipe_ends_it_silently() -> None:
    command = [sys.executable, "-m", "hvolab", "conformance", "riscv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own_environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141
