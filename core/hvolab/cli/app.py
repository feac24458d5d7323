# SPDX-License-Identifier: GPL-2.0-only
"""The program `hvolab`: its own commands, those of plugins, and the end of the process."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from hvolab import __version__
from hvolab.cli import arches, conformance, new, plugins, pte, releases, run
from hvolab.cli.errors import Commands, ExitCode, exit_code, show_error, show_warning
from hvolab.errors import HvolabError, UsageError
from hvolab.plugin import registry
from hvolab.plugin.commands import leave_only
from hvolab.plugin.load_marker import unfinished_loads

_NAME = "hvolab"
_COMPLETION_VARIABLE = "_HVOLAB_COMPLETE"
_HELP = """A workbench for HVO, the Linux kernel's HugeTLB Vmemmap Optimization.

Exit codes: 0, all as declared; 1, an undeclared finding, a broken invariant or a difference; 2, wrong use or input;
70, a fault of hvolab itself; 130, interrupted."""


def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With --version: print what a report of a fault needs.")
    ] = False,
) -> None:
    if version and verbose:
        from hvolab.cli.version import show_details

        show_details()
    elif version:
        typer.echo(f"{_NAME} {__version__}")
    elif verbose:
        raise UsageError("--verbose without --version", hint="hvolab --version --verbose")
    elif context.invoked_subcommand is None:
        raise UsageError("no command is named", hint="`hvolab --help` lists them")
    if version:
        raise typer.Exit


def build_app() -> typer.Typer:
    """Return the command line with hvolab's own commands and those of every plugin that works.

    Raises PluginError in strict mode if a plugin does not work.
    """
    app = typer.Typer(
        name=_NAME,
        cls=Commands,
        help=_HELP,
        no_args_is_help=True,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing what typer formats boxes with takes a quarter of what `--help` takes
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    app.command("run", cls=run.RunCommand)(run.run)
    app.command("arches")(arches.arches)
    app.command("releases")(releases.releases)
    app.command("pte")(pte.pte)
    app.command("conformance")(conformance.conformance)
    app.add_typer(new.app)
    app.command("plugins")(plugins.plugins)
    registry().add_commands(app)
    return app


def main() -> NoReturn:
    """Run the command line on the program's arguments, and end the program. The console script `hvolab`."""
    completes = _COMPLETION_VARIABLE in os.environ
    try:
        if not completes:
            plugins.show_unfinished(unfinished_loads())
        app = build_app()
        if not completes:
            plugins.show_problems(registry(), listed=sys.argv[1:2] == ["plugins"])
            leave_only(app, "".join(sys.argv[1:2]))
    except HvolabError as error:
        show_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt as interrupt:
        for note in getattr(interrupt, "__notes__", ()):
            show_warning(note)
        sys.exit(ExitCode.INTERRUPTED)
    try:
        app(prog_name=_NAME)
    finally:
        _flush()
    sys.exit()


def _flush() -> None:
    """Write buffered output now: a closed pipe is reported here, and not when the interpreter ends."""
    try:
        if sys.stdout is not None:  # it is closed: `hvolab ... >&-`
            sys.stdout.flush()
    except BrokenPipeError:
        from hvolab.cli.output import end_of_pipe

        end_of_pipe()
