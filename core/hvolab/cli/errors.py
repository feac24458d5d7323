# SPDX-License-Identifier: GPL-2.0-only
"""Exit codes, and the output of errors and warnings."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from hvolab.errors import HvolabError


class ExitCode(enum.IntEnum):
    """The exit codes of hvolab."""

    AS_DECLARED = 0  #: everything is as declared
    FINDING = 1  #: an undeclared finding, a broken invariant, a difference
    USAGE = 2  #: wrong use or unreadable input
    UNKNOWN = 3  #: no finding, but what decides it was not in the input
    INTERNAL = 70  #: a fault of hvolab itself, or of a plugin; EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  #: the user pressed Ctrl-C, as shells report it


def exit_code(error: HvolabError) -> ExitCode:
    """Return the exit code of a command that ``error`` ends."""
    return ExitCode.FINDING if error.is_finding else ExitCode.USAGE


def show_error(error: HvolabError) -> None:
    """Write an error to standard error: code and fault, and below them place, rule and hint."""
    _write(f"error[{error.code}]", "bold red", error.what, error.parts)


def show_wrong_use(error: Any) -> None:
    """Write an error of the command line's own grammar as any other error.

    error  a usage error of typer, whose classes differ between its releases
    """
    text, _, guess = error.message.partition(" Did you mean ")
    near = [f"did you mean {guess}"] if guess else []
    if possible := getattr(error, "possibilities", None):
        near = [f"did you mean {' or '.join(possible)}?"]
    elif not near:
        text = error.format_message()
    path = "" if error.ctx is None else error.ctx.command_path
    hint = "; ".join([*near, f"`{path} --help` lists what there is"])
    what = f"{text[:1].lower()}{text[1:]}".rstrip(". ")
    _write("error[usage]", "bold red", what, {"where": path, "hint": hint} if path else {})


def show_warning(message: str, hint: str = "") -> None:
    """Write a warning to standard error, and below it the hint."""
    _write("warning", "bold yellow", message, {"hint": hint} if hint else {})


def show_interrupt(interrupt: KeyboardInterrupt) -> None:
    """Write that the command was interrupted, and the part of its work that is done, where the interrupt names it."""
    _write("interrupted", "bold yellow", str(interrupt) or "the command has no result", {})


def show_internal(error: Exception) -> None:
    """Write that hvolab itself is at fault, and what to send: versions, command and traceback."""
    import platform
    import shlex
    import sys
    import traceback

    from hvolab import __version__

    parts = {
        "command": shlex.join(sys.argv),
        "versions": f"hvolab {__version__}, Python {platform.python_version()}, {platform.platform()}",
        "rule": "this is a fault of hvolab or of a plugin, not a finding",
        "hint": "report it with all of this, the output of `hvolab --version -v`, and the files that the command reads",
    }
    _write("error[internal]", "bold red", f"{type(error).__name__}: {error}", parts)
    sys.stderr.write("".join(traceback.format_exception(error)))


def _write(label: str, style: str, message: str, parts: Mapping[str, str]) -> None:
    from rich.text import Text

    from hvolab.cli.output import console, labeled

    out = console(error=True)
    if not out.is_terminal:  # one line each, however long: for logs and grep
        lines = [f"{label}: {message}", *(f"  {name}: {text}" for name, text in parts.items())]
        out.print("\n".join(lines), soft_wrap=True)
        return
    out.print(Text.assemble((f"{label}: ", style), message))
    grid = labeled()
    for name, text in parts.items():
        grid.add_row(f"  {name}", Text(text, style="green" if name == "hint" else ""))
    if parts:
        out.print(grid)


def _end_wrong_use(error: Exception) -> None:
    """Write an error of the command line's own grammar and end the command; return where it is another exception."""
    if hasattr(error, "format_message") and type(error).__name__ != "NoArgsIsHelpError":
        show_wrong_use(error)
        raise typer.Exit(ExitCode.USAGE) from error


class Commands(TyperGroup):
    """A group of commands that turns an error into a message and an exit code."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands, each with its whole summary: the inherited method cuts it at the end of the line."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(len(one.help or ""))) for name, one in found if one and not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Parse the arguments."""
        try:
            return super().make_context(*args, **more)
        except Exception as error:
            _end_wrong_use(error)
            raise

    def invoke(self, ctx: Any) -> Any:  # the class of a context differs between typer's releases
        """Run the command in the arguments."""
        try:
            return super().invoke(ctx)
        except HvolabError as error:
            show_error(error)
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as interrupt:
            show_interrupt(interrupt)
            raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
        except Exception as error:
            _end_wrong_use(error)
            # typer's exits, the help of a command without arguments, and a pipe that its reader has closed
            if isinstance(error, typer.Abort | BrokenPipeError) or hasattr(error, "exit_code"):
                raise
            show_internal(error)
            raise typer.Exit(ExitCode.INTERNAL) from error
