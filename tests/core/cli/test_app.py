"""The command line as a whole: its commands, its ways out, and what plugins bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import hvolab
from hvolab.cli.errors import Commands, ExitCode, exit_code, show_error
from hvolab.errors import HvolabError, KernelBug, UsageError
from hvolab.invariants import EndlessLoopError
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
X86, SMALL = ("--arch", "x86_64"), ("--memory", "256M", "--hugepages", "2M=1")
ERROR = UsageError("the thing is wrong", where="here", rule="manual 1.2", hint="do it right")


def ending_with(error: BaseException) -> typer.Typer:
    """A command line whose commands raise an error."""
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    def fail() -> None:
        raise error

    app.command("fail")(fail)
    app.command("other")(fail)
    return app


def test_the_version_is_printed(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"hvolab {hvolab.__version__}\n")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_the_commands_and_the_exit_codes(invoke: Invoke, option: str) -> None:
    result = invoke(option)
    assert result.exit_code == 0
    for word in ("run", "arches", "pte", "Exit codes"):
        assert word in result.stdout


@pytest.mark.parametrize(
    "arguments", [("--nonsense",), ("nonsense",), ("run", "--nonsense"), ("run", "--nodes", "two"), ("pte",)]
)
def test_wrong_use_ends_with_2_and_no_traceback(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_error_tells_its_parts_on_standard_error_one_to_a_line() -> None:
    result = CliRunner().invoke(ending_with(ERROR), ["fail"])
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error[usage]: the thing is wrong",
        "  where: here",
        "  rule: manual 1.2",
        "  hint: do it right",
    ]


def test_parts_that_an_error_does_not_have_are_not_named() -> None:
    result = CliRunner().invoke(ending_with(HvolabError("only this")), ["fail"])
    assert result.stderr == "error[error]: only this\n"


def test_an_error_in_a_terminal_is_colored_and_names_the_same_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_error(ERROR)
    colored = capsys.readouterr().err
    assert "\x1b[" in colored
    monkeypatch.setenv("NO_COLOR", "1")
    show_error(ERROR)
    plain = capsys.readouterr().err
    assert "\x1b[" not in plain
    assert [line.split() for line in plain.splitlines()] == [
        ["error[usage]:", "the", "thing", "is", "wrong"],
        ["where", "here"],
        ["rule", "manual", "1.2"],
        ["hint", "do", "it", "right"],
    ]


@pytest.mark.parametrize("arguments", [("arches", "x86_64"), ("pte", *X86, "0"), ("run", *X86, *SMALL)])
def test_color_is_for_terminals_that_want_it(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    plain = invoke(*arguments).stdout
    assert "\x1b[" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in invoke(*arguments).stdout
    assert json.loads(invoke(*arguments, "--json").stdout)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    uncolored = invoke(*arguments).stdout
    assert [line.rstrip() for line in uncolored.splitlines()] == plain.splitlines()


def test_what_looks_like_markup_in_an_error_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(UsageError("bits [63:12] of [bold]this[/bold]"))
    assert capsys.readouterr().err == "error[usage]: bits [63:12] of [bold]this[/bold]\n"


@pytest.mark.parametrize("error", [KernelBug("BUG_ON() hit"), EndlessLoopError("no progress")])
def test_an_error_that_tells_of_the_kernel_modeled_is_a_finding(error: HvolabError) -> None:
    assert exit_code(error) is ExitCode.FINDING
    assert CliRunner().invoke(ending_with(error), ["fail"]).exit_code == ExitCode.FINDING


def test_an_interrupt_ends_with_130() -> None:
    result = CliRunner().invoke(ending_with(KeyboardInterrupt()), ["fail"])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "Traceback" not in result.stderr


def test_a_plugins_commands_are_there_and_end_as_hvolabs_own_do(site: Site, spawn: Spawn) -> None:
    site.install("greeter", COMMANDS)
    greeted = spawn("greet")
    assert (greeted.returncode, greeted.stdout) == (0, "hello\n")
    interrupted = spawn("interrupt")
    assert interrupted.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in interrupted.stderr


def test_a_broken_plugin_is_a_warning_that_leaves_standard_output_to_json(site: Site, spawn: Spawn) -> None:
    site.install("crooked", "raise LookupError('a screw loose')\n")
    result = spawn("arches", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)
    [warning] = [line for line in result.stderr.splitlines() if "crooked" in line]
    assert warning.startswith("warning: plugin 'crooked' (distribution 'crooked') is left out: ")
    assert "LookupError: a screw loose" in warning


def test_in_strict_mode_a_broken_plugin_is_an_error_without_a_traceback(site: Site, spawn: Spawn) -> None:
    site.install("crooked", "raise LookupError('a screw loose')\n")
    result = spawn("arches", HVOLAB_STRICT="1")
    assert result.returncode == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr.startswith("error[plugin]: ")
    assert "LookupError: a screw loose" in result.stderr
    assert "Traceback" not in result.stderr


def test_who_reads_the_output_may_go_away() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "hvolab", "arches", "--json"],
            check=False,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env=own_environment(),
        )
    finally:
        os.close(writing)
    assert result.returncode == 141
    assert "BrokenPipe" not in result.stderr


def test_the_command_line_is_built_without_what_only_a_run_needs() -> None:
    heavy = ["hvolab.scenario", "hvolab.invariants", "hvolab.hugetlb"]
    code = "import sys, hvolab.cli.app as a; a.typer.main.get_command(a.build_app()); print(*sys.modules, sep='\\n')"
    process = [sys.executable, "-c", code]
    result = subprocess.run(process, check=True, capture_output=True, text=True, env=own_environment())
    loaded = result.stdout.splitlines()
    assert "hvolab.cli.run" in loaded
    assert [module for module in heavy if module in loaded] == []


#: Packages that a command must not import to answer at once: all of them are large.
LARGE = ("numpy", "unicorn", "capstone", "elftools", "pytest", "hypothesis")
_IMPORTED = """
import sys
from hvolab.cli.app import main
try:
    main()
finally:
    print(*sorted(set(sys.modules) & set({large!r})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("pte", "0x402b0ce7", "-a", "riscv"), ("pte", "--help")], ids=" ".join
)
def test_short_commands_import_no_large_package(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", _IMPORTED.format(large=LARGE), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=own_environment())
    assert (done.returncode, done.stderr) == (0, "\n")
    assert done.stdout


def test_the_guard_notices_a_large_package() -> None:
    code = "import numpy, sys; sys.argv[1:] = ['--version']\n" + _IMPORTED.format(large=LARGE)
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=own_environment()
    )
    assert done.stderr == "numpy\n"
