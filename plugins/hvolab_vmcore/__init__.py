"""Memory cores of real kernels: opening them, reading HVO's state off their page tables, replaying what kernels did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab inspect` and `hvolab replay`."""
    # only who builds a command line needs typer
    from hvolab_vmcore.commands.inspect import inspect  # noqa: PLC0415
    from hvolab_vmcore.commands.replay import replay  # noqa: PLC0415

    app.command("inspect")(inspect)
    app.command("replay")(replay)
