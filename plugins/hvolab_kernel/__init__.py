"""Kernel images: their segments, symbols and types, what they have of HVO, and their code, disassembled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab image` and `hvolab disasm`."""
    # only who builds a command line needs typer
    from .disasm_command import disasm  # noqa: PLC0415
    from .image_command import image  # noqa: PLC0415

    app.command("image")(image)
    app.command("disasm")(disasm)
