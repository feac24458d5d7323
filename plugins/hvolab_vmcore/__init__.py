# SPDX-License-Identifier: GPL-2.0-only
"""Memory cores of real kernels: reading HVO's state from their page tables, and replaying what a kernel did.

Rooms, each importing only from those above it:
core      the file: ELF headers, notes, VMCOREINFO, memory, and a walk of its page tables
scan      huge pages, vmemmap pages, and findings
replay    the same operations by an engine, and the comparison with the kernel's result
commands  `hvolab inspect` and `hvolab replay`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab inspect` and `hvolab replay`."""
    # only a command line needs typer
    from hvolab_vmcore.commands.inspect import inspect  # noqa: PLC0415
    from hvolab_vmcore.commands.replay import replay  # noqa: PLC0415

    app.command("inspect")(inspect)
    app.command("replay")(replay)
