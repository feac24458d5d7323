# SPDX-License-Identifier: GPL-2.0-only
"""The command line as a whole: its commands, its ways out, and what plugins bring."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import hvolab
from hvolab.cli.errors import ExitCode
from tests.core.cli.conftest import Invoke, Spawn, own_environment
from tests.core.plugin.conftest import site
from tests.core.plugin.site import Site

__all__ = ["site"]

COMMANDS = """\
import typer
from hvolab.errors import HvolabError, KernelBug
from hvolab.plugin import hookimpl

@hookimpl
def hvolab_commands(app):
    @app.command()
    def greet() -> None:
        typer.echo("hello")

    @app.command()
    def interrupt() -> None:
        raise KeyboardInterrupt
"""
X86 = ("--arch", "x86_64")
SMALL = ("--memory", "256M", "--hugepages", "2M=1")


def test_the_version_is_printed(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"hvolab {hvolab.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("rnu",), ["no such command 'rnu'", "where: hvolab", "hint: did you mean 'run'?; `hvolab --help` lists"]),
        (("run", "--arhc", "x"), ["no such option: --arhc", "where: hvolab run", "hint: did you mean --arch"]),
        (("run", "--vmemmap", "bot"), ["invalid value for '--vmemmap': 'bot' is not one of 'boot', "]),
        (("new", "arhc"), ["no such command 'arhc'", "where: hvolab new", "hint: did you mean 'arch'?; `hvolab new"]),
        (("--nonsense",), ["no such option: --nonsense", "where: hvolab", "hint: `hvolab --help` lists"]),
        (
            ("run", "--mode", "5-levl", "--arch", "x86_64"),
            ["x86_64 has no paging mode", "hint: did you mean '5-level'"],
        ),
        (("run", "--feature", "nolvaa", "--arch", "arm64"), ["arm64 has no feature", "hint: did you mean 'nolva'?"]),
        (("run", "--release", "7.3"), ["hvolab does not know", "hint: did you mean '7.2'?"]),
    ],
)
def test_wrong_use_has_the_form_of_every_error_with_the_nearest_name(
    invoke: Invoke, arguments: tuple[str, ...], lines: list[str]
) -> None:
    shown = invoke(*arguments).stderr.splitlines()
    assert len(lines) <= len(shown)
    assert shown[0].startswith(f"error[usage]: {lines[0]}")
    assert [line for line in lines[1:] if not any(one.strip().startswith(line) for one in shown[1:])] == []


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_the_commands_and_the_exit_codes(invoke: Invoke, option: str) -> None:
    result = invoke(option)
    assert result.exit_code == 0
    for word in ("run", "arches", "pte", "Exit codes"):
        assert word in result.stdout


def test_help_lists_each_command_with_its_whole_summary(invoke: Invoke) -> None:
    text = " ".join(invoke("--help").stdout.split())
    assert "arches List the architectures: paging modes, huge page sizes and the savings of HVO for each" in text
    assert "disasm Disassemble a kernel's function" in text
    assert "new Write a new plugin to start from." in text
    assert "..." not in text.partition("Commands:")[2]


@pytest.mark.parametrize(
    "arguments", [("--nonsense",), ("nonsense",), ("run", "--nonsense"), ("run", "--nodes", "two"), ("pte",)]
)
def test_wrong_use_ends_with_2_and_no_traceback(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_plugins_commands_are_there_and_end_as_hvolabs_own_do(site: Site, spawn: Spawn) -> None:
    site.install("greeter", COMMANDS)
    greeted = spawn("greet")
    assert (greeted.returncode, greeted.stdout) == (0, "hello\n")
    interrupted = spawn("interrupt")
    assert interrupted.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in interrupted.stderr


@pytest.mark.slow
def test_a_broken_plugin_is_a_warning_that_leaves_standard_output_to_json(site: Site, spawn: Spawn) -> None:
    site.install("crooked", "raise LookupError('a screw loose')\n")
    result = spawn("arches", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)
    [warning] = [line for line in result.stderr.splitlines() if "crooked" in line]
    assert warning.startswith("warning: plugin 'crooked' (distribution 'crooked') is left out: ")
    assert "LookupError: a screw loose" in warning


@pytest.mark.slow
def test_in_strict_mode_a_broken_plugin_is_an_error_without_a_traceback(site: Site, spawn: Spawn) -> None:
    site.install("crooked", "raise LookupError('a screw loose')\n")
    result = spawn("arches", HVOLAB_STRICT="1")
    assert result.returncode == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr.startswith("error[plugin]: ")
    assert "LookupError: a screw loose" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_command_line_is_built_without_what_only_a_run_needs() -> None:
    heavy = ["hvolab.scenario", "hvolab.invariants", "hvolab.hugetlb"]
    code = "import sys, hvolab.cli.app as a; a.typer.main.get_command(a.build_app()); print(*sys.modules, sep='\\n')"
    process = [sys.executable, "-c", code]
    result = subprocess.run(process, check=True, capture_output=True, text=True, env=own_environment())
    loaded = result.stdout.splitlines()
    assert "hvolab.cli.run" in loaded
    assert [module for module in heavy if module in loaded] == []


#: Packages that a command must not import to answer at once: all of them are large.
LARGE = ("numpy", "unicorn", "capstone", "elftools", "pytest", "hypothesis", "markdown_it")
_IMPORTED = """
import sys
from hvolab.cli.app import main
try:
    main()
finally:
    print(*sorted(set(sys.modules) & set({large!r})), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("pte", "0x402b0ce7", "-a", "riscv"), ("pte", "--help")], ids=" ".join
)
def test_short_commands_import_no_large_package(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", _IMPORTED.format(large=LARGE), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=own_environment())
    assert (done.returncode, done.stderr) == (0, "\n")
    assert done.stdout


@pytest.mark.slow
def test_the_guard_notices_a_large_package() -> None:
    code = "import numpy, sys; sys.argv[1:] = ['--version']\n" + _IMPORTED.format(large=LARGE)
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=own_environment()
    )
    assert done.stderr == "numpy\n"
