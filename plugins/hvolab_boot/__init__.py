# SPDX-License-Identifier: GPL-2.0-only
"""Boots of a kernel in QEMU: its HVO judged by its own log and counters, by its memory, and by a replay of its steps.

Rooms, each importing only from those above it:
qemu      machines of QEMU, its process, and QMP
guest     initial RAM file system with one process, and what that process reports
cores     memory of the guest, cut to what HVO uses
running   the plan, and the stages that are taken of the guest
judging   rules, replays, and the result as data
commands  `hvolab boot`

`boot` does all of it, from image to report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab boot`."""
    from hvolab_boot.commands.boot import boot  # noqa: PLC0415 - typer is needed for a command line alone

    app.command("boot")(boot)
