"""Emulated CPUs: HVO's accesses, entries and flushes as the architecture's own instructions, carried out by unicorn.

Without unicorn the module can be imported, and what needs it says what to install.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer

    from hvolab.machine import Cpu, CpuMaker, Machine
    from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu

__all__ = ["emulate", "hvolab_cpus", "make_cpu"]


def make_cpu(machine: Machine, index: int) -> Cpu:
    """An emulated CPU of that number; raises UsageError where unicorn is missing or cannot emulate the target."""
    # who only looks for plugins needs neither numpy nor an emulator
    from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu  # noqa: PLC0415

    return EmulatedCpu(machine, index)


def emulate(machine: Machine, *, handler: bool = False) -> list[EmulatedCpu]:
    """Replace every CPU of ``machine`` by an emulated one of the same number, and give them.

    Do it before an Hvo is made of the machine, which holds its CPU. ``handler``: as EmulatedCpu has it.
    """
    from hvolab.machine import use_cpus  # noqa: PLC0415
    from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu  # noqa: PLC0415

    made: list[EmulatedCpu] = []

    def make(machine: Machine, index: int) -> EmulatedCpu:
        made.append(EmulatedCpu(machine, index, handler=handler))
        return made[-1]

    use_cpus(machine, make)
    return made


@hookimpl
def hvolab_cpus() -> Mapping[str, CpuMaker]:
    """Announce the kind of CPU that `--cpu emulated` takes."""
    return {"emulated": make_cpu}


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab verify`."""
    from hvolab_unicorn.commands.verify import verify  # noqa: PLC0415 - only who builds a command line needs typer

    app.command("verify")(verify)
