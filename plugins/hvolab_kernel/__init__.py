# SPDX-License-Identifier: GPL-2.0-only
"""Kernels' own HVO: identified in an image, disassembled, run on a machine, and compared with the engine.

`hvolab_vmlinux` opens an image. `identify` finds its HVO's features and release with the help of `code`, which
disassembles functions and lists the calls out of HVO. `running` loads the kernel next to a machine and calls its
functions there. `comparison` runs the same steps on the kernel and on the engine. `commands` are the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hvolab.errors import UsageError
from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer

    from hvolab.hvo import EngineMaker, HvoEngine
    from hvolab.machine import Machine


def make_engine(machine: Machine, image: Path | None) -> HvoEngine:
    """Return an engine that runs the HVO of the kernel image at a path on a machine.

    Raises UsageError where no image is named, and as `open_kernel` and `KernelHvo` do.
    """
    # the search for plugins imports neither numpy nor an emulator
    from hvolab_kernel.running import KernelHvo  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    if image is None:
        raise UsageError("--engine kernel requires an image", hint="name a kernel image: --image FILE")
    return KernelHvo(machine, open_kernel(image))


@hookimpl
def hvolab_engines() -> Mapping[str, EngineMaker]:
    """Return the engine of `--engine kernel`."""
    return {"kernel": make_engine}


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab image`, `hvolab disasm` and `hvolab kernel`."""
    from hvolab_kernel.commands import commands  # noqa: PLC0415

    for command in (commands.image, commands.disasm, commands.kernel):
        app.command(command.__name__)(command)
