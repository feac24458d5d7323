# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab releases`: the kernel releases that are modeled, by their differences."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import JsonOption, complete_release


def releases(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RELEASE", help="Releases to show; by default all.", autocompletion=complete_release),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the kernel releases: the differences of each from the one before it, with the commits that made them.

    hvolab releases 7.2
    """
    from rich.console import Group

    from hvolab.cli.output import print_json, show
    from hvolab.cli.releases_report import data_of, render
    from hvolab.release import RELEASES, release_named

    chosen = [release_named(name) for name in names] if names else RELEASES
    if json:
        print_json([data_of(release) for release in chosen])
    else:
        show(Group(*map(render, chosen)))
