# SPDX-License-Identifier: GPL-2.0-only
"""Errors on the command line: their parts, their colors, their exit codes."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from hvolab.cli.errors import Commands, ExitCode, exit_code, show_error
from hvolab.errors import HvolabError, KernelBug, UsageError
from hvolab.invariants import EndlessLoopError

ERROR = UsageError("the thing is wrong", where="here", rule="manual 1.2", hint="do it right")


def ending_with(error: BaseException) -> typer.Typer:
    """A command line whose commands raise an error."""
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    def fail() -> None:
        raise error

    app.command("fail")(fail)
    app.command("other")(fail)
    return app


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
    assert result.stderr == "interrupted: the command has no result\n"
    result = CliRunner().invoke(ending_with(KeyboardInterrupt("3 of 4 are done")), ["fail"])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == "interrupted: 3 of 4 are done\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("half"), TypeError("x")], ids=repr)
def test_a_fault_of_hvolab_has_a_code_of_its_own_and_says_what_to_send(error: Exception) -> None:
    result = CliRunner().invoke(ending_with(error), ["fail"])
    assert (result.exit_code, result.stdout) == (ExitCode.INTERNAL, "")
    assert result.stderr.startswith(f"error[internal]: {type(error).__name__}: {error}\n")
    assert all(
        part in result.stderr for part in ("  command: ", "  versions: hvolab ", "  hint: report it", "Traceback")
    )


@pytest.mark.parametrize("error", [typer.Exit(3), typer.BadParameter("no"), typer.Abort()], ids=repr)
def test_exits_and_wrong_use_are_no_faults_of_hvolab(error: Exception) -> None:
    result = CliRunner().invoke(ending_with(error), ["fail"])
    assert result.exit_code == {"Exit": 3, "BadParameter": 2, "Abort": 1}[type(error).__name__]
    assert "internal" not in result.stderr
