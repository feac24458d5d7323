# SPDX-License-Identifier: GPL-2.0-only
"""Emulated CPUs: unicorn executes HVO's accesses, entries and flushes as the architecture's own instructions.

The package can be imported without unicorn; using it then raises UsageError with the package to install.

`emulator/` is the library, `guest/` the guest's text and memory, `families/` the differences between architectures,
`cpu/` the emulated CPU, and `verify/` and `commands/` are `hvolab verify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    import typer

    from hvolab.machine import Cpu, CpuMaker, Machine
    from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu

__all__ = ["emulate", "hvolab_cpus", "make_cpu"]


def make_cpu(machine: Machine, index: int) -> Cpu:
    """Return an emulated CPU of that number; raises UsageError without unicorn, or for a target it cannot emulate."""
    # importing the plugin takes neither numpy nor an emulator
    from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu  # noqa: PLC0415

    return EmulatedCpu(machine, index)


def emulate(machine: Machine, *, handler: bool = False) -> list[EmulatedCpu]:
    """Replace every CPU of `machine` by an emulated one of the same number, and return them.

    Call it before an Hvo is made of the machine, which holds its CPU. `handler`: see EmulatedCpu.
    """
    from hvolab.machine import use_cpus  # noqa: PLC0415
    from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu  # noqa: PLC0415

    use_cpus(machine, partial(EmulatedCpu, handler=handler))
    return [cpu for cpu in machine.cpus if isinstance(cpu, EmulatedCpu)]


@hookimpl
def hvolab_cpus() -> Mapping[str, CpuMaker]:
    """Register the kind of CPU of `--cpu emulated`."""
    return {"emulated": make_cpu}


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab verify`."""
    from hvolab_unicorn.commands.verify import verify  # noqa: PLC0415 - typer is needed for a command line alone

    app.command("verify")(verify)
