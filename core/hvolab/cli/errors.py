"""What the command line says when something is wrong, and the exit codes."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from hvolab.cli.output import console
from hvolab.errors import HvolabError, KernelBug, OwnershipError
from hvolab.plugin import PluginProblem


class ExitCode(enum.IntEnum):
    """What hvolab ends with."""

    AS_DECLARED = 0  #: everything is as declared
    FINDING = 1  #: an undeclared finding, a broken invariant, a difference
    USAGE = 2  #: wrong use or unreadable input
    INTERRUPTED = 130  #: the user pressed Ctrl-C, as shells report it


def exit_code(error: HvolabError) -> ExitCode:
    """The exit code that ``error`` ends a command with: some tell of the kernel code modeled, not of wrong use."""
    from hvolab.invariants import EndlessLoopError

    of_the_kernel = isinstance(error, KernelBug | OwnershipError | EndlessLoopError)
    return ExitCode.FINDING if of_the_kernel else ExitCode.USAGE


def show_error(error: HvolabError) -> None:
    """Write an error to standard error: what, and below it where, which rule, and a hint."""
    parts = (("where", error.where), ("rule", error.rule), ("hint", error.hint))
    _say("error", "bold red", error.what, [(label, text) for label, text in parts if text])


def show_problems(problems: Iterable[PluginProblem]) -> None:
    """Write one warning to standard error for each plugin that was left out."""
    for problem in problems:
        _say("warning", "bold yellow", str(problem), [])


def _say(word: str, style: str, message: str, parts: list[tuple[str, str]]) -> None:
    out = console(error=True)
    if not out.is_terminal:  # one line each, however long: for logs and grep
        lines = [f"{word}: {message}", *(f"  {label}: {text}" for label, text in parts)]
        out.print("\n".join(lines), soft_wrap=True)
        return
    out.print(Text.assemble((f"{word}: ", style), message))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in parts:
        grid.add_row(f"  {label}", Text(text, style="green" if label == "hint" else ""))
    if parts:
        out.print(grid)


class Commands(TyperGroup):
    """A command line that ends with a message and an exit code where a command raises."""

    def invoke(self, ctx: Any) -> Any:  # whose Context this is differs between typer's releases
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except HvolabError as error:
            show_error(error)
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
