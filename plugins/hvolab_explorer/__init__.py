# SPDX-License-Identifier: GPL-2.0-only
"""Explorer: every interleaving of actors on a machine, every failing allocation, every stale TLB entry.

`steps/` runs actors step by step and has the order of their steps, `search/` decides which schedules to run, `world/`
is the machine, `actors/` the programs, `runs/` explores configurations of them, and `commands/` is `hvolab explore`.
The package can be imported without greenlet; using it needs the extra `explore`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab explore`."""
    from hvolab_explorer.commands.explore import explore  # noqa: PLC0415 - typer is needed for a command line alone

    app.command("explore")(explore)
