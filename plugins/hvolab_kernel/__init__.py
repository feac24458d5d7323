# SPDX-License-Identifier: GPL-2.0-only
"""Kernels' own HVO: identified in an image, disassembled, run on a machine, and compared with the engine.

`hvolab_vmlinux` opens an image. `identify` finds its HVO's features and release with the help of `code`, which
disassembles functions and lists the calls out of HVO. `running` loads the kernel next to a machine and calls its
functions there. `interleaving` lets the explorer run them on several CPUs. `comparison` runs the same steps on the
kernel and on the engine, of HVO and of its callers. `build` compiles a developer's file as the file of an image was.
`commands` are the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hvolab.errors import UsageError
from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer

    from hvolab.hvo import EngineMaker, EngineSetup, HvoEngine
    from hvolab.machine import Machine
    from hvolab_explorer.world.code import CodeEngine
    from hvolab_vmlinux.kernel import Kernel


class KernelEngineMaker:
    """Maker of the engine of `--engine kernel`: the HVO of a kernel image."""

    def __call__(self, machine: Machine, image: Path | None) -> HvoEngine:
        """Return an engine that runs the HVO of the kernel image at a path on a machine.

        Raises UsageError where no image is named, and as `open_kernel` and `KernelHvo` do.
        """
        # the search for plugins imports neither numpy nor an emulator
        from hvolab_kernel.running import KernelHvo  # noqa: PLC0415

        return KernelHvo(machine, _opened(image))

    def setup(self, image: Path | None, release: str | None) -> EngineSetup:
        """Return the engine of an image, with the architecture, mode, release and struct page layout of the image.

        A kernel with the features of no release runs next to the model of the nearest one first; the notes have the
        differences. Raises UsageError as a call does, and for a release that contradicts the features of the image.
        """
        from hvolab_kernel.comparison.setup import setup_of  # noqa: PLC0415

        return setup_of(_opened(image), release)

    def explored(self, image: Path | None, object_file: Path | None, release: str | None) -> CodeEngine:
        """Return the engine of an image for the explorer, which interleaves its instructions.

        Raises UsageError as `setup()` does, and for a machine whose kernels run on one CPU only.
        """
        from hvolab_kernel.interleaving.engine import engine_of_image  # noqa: PLC0415

        return engine_of_image(image, object_file, release)


def _opened(image: Path | None) -> Kernel:
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    if image is None:
        raise UsageError("--engine kernel requires an image", hint="name a kernel image: --image FILE")
    return open_kernel(image)


make_engine: Final = KernelEngineMaker()


@hookimpl
def hvolab_engines() -> Mapping[str, EngineMaker]:
    """Return the engine of `--engine kernel`."""
    return {"kernel": make_engine}


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab image`, `disasm`, `kernel`, `build`, `watch` and `patch-test`."""
    from hvolab_kernel.commands import build, commands, patch_test, watch  # noqa: PLC0415

    for command in (commands.image, commands.disasm, commands.kernel, build.build, watch.watch, patch_test.patch_test):
        app.command(command.__name__.replace("_", "-"))(command)
