# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab new arch NAME`: write a package for a new architecture plugin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.errors import Commands
from hvolab.cli.options import JsonOption

app = typer.Typer(name="new", cls=Commands, no_args_is_help=True)


@dataclass(frozen=True)
class NewPackage:
    """Package that `hvolab new arch` has written: its name, and its files."""

    name: str
    files: tuple[str, ...]


@app.callback()
def new() -> None:
    """Write a new plugin to start from."""


@app.command("arch")
def arch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, underscores; as arch/ in the kernel.")],
    directory: Annotated[
        Path, typer.Option("--directory", "-d", metavar="DIR", help="Parent of the new folder hvolab-NAME.")
    ] = Path(),
    json: JsonOption = False,
) -> None:
    """Write an installable package that describes an invented architecture, with the stages of porting.

    hvolab new arch vax --directory plugins
    """
    from importlib.util import find_spec

    from hvolab.authoring import package_of, write_architecture
    from hvolab.cli.output import print_json
    from hvolab.errors import UsageError
    from hvolab.plugin import registry
    from hvolab.plugin.checks import names_of

    for architecture in registry().architectures().values():
        if name.casefold() in map(str.casefold, names_of(architecture)):
            raise UsageError(
                f"{name!r} is the name or an alias of an installed architecture",
                where=f"architecture {architecture.name}",
                hint="choose another name, or uninstall the plugin that describes it",
            )
    if find_spec(package := package_of(name)) is not None:
        what = f"a Python package {package} exists already"
        raise UsageError(what, hint="choose another name, or uninstall the package")
    written = write_architecture(name, directory)
    if json:
        print_json(NewPackage(name, tuple(map(str, written))))
        return
    folder = next(path.parent for path in written if path.name == "pyproject.toml")
    for path in written:
        typer.echo(path)
    typer.echo("\nThe architecture is invented. Next, where hvolab and hvolab[conformance] are installed:")
    typer.echo(f"  pip install --editable {folder}\n  pytest {folder}")
