# SPDX-License-Identifier: GPL-2.0-only
"""Memory cores of real kernels: reading HVO's state from their page tables, and replaying what a kernel did.

Rooms, each importing only from those above it:
files     formats of dumps: notes, VMCOREINFO, and frames of memory, read when they are used
core      the kernel in a dump: its memory, release and layouts, and a walk of its page tables
scan      huge pages, vmemmap pages, and findings
page      one struct page: its place, its owner and its fields
savings   what HVO saves and would save: of dumps, and of a running machine
torture   small dumps in every format, with the right answers
replay    the same operations by an engine, and the comparison with the kernel's result
commands  `hvolab inspect`, `page`, `savings`, `replay` and `torture`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer

    from hvolab_vmcore.files.dump import DumpReaders


@hookimpl
def hvolab_dump_formats() -> DumpReaders:
    """Return the formats of memory dumps that are read."""
    from hvolab_vmcore.files.readers import READERS  # noqa: PLC0415

    return READERS


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab inspect`, `page`, `savings`, `replay` and `torture`."""
    # only a command line needs typer
    from hvolab_vmcore.commands.inspect import inspect  # noqa: PLC0415
    from hvolab_vmcore.commands.page import page  # noqa: PLC0415
    from hvolab_vmcore.commands.replay import replay  # noqa: PLC0415
    from hvolab_vmcore.commands.savings import savings  # noqa: PLC0415
    from hvolab_vmcore.commands.torture import torture  # noqa: PLC0415

    app.command("inspect")(inspect)
    app.command("page")(page)
    app.command("savings")(savings)
    app.command("replay")(replay)
    app.command("torture")(torture)
