# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab arches`: the described architectures, and the memory that HVO saves for each huge page size."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import JsonOption, complete_architecture
from hvolab.plugin import registry


def arches(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Architectures to show; by default all.", autocompletion=complete_architecture
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the architectures: paging modes, huge page sizes and the savings of HVO for each, features and traits.

    hvolab arches riscv
    """
    from rich.console import Group

    from hvolab.cli.arches_report import data_of, render
    from hvolab.cli.output import print_json, show

    known = registry()
    chosen = [known.architecture(name) for name in names] if names else list(known.architectures().values())
    if json:
        print_json([data_of(architecture) for architecture in chosen])
    else:
        show(Group(*map(render, chosen)) if chosen else "no plugin describes an architecture")
