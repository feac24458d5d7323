# SPDX-License-Identifier: GPL-2.0-only
"""Machines that checks build: as small as the huge pages that they hold."""

from __future__ import annotations

from collections.abc import Mapping

from hvolab.arch import Architecture, EmulationPart, Target
from hvolab.arithmetic import round_up
from hvolab.conformance.capabilities import EMULATED
from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import FrameAllocator, Machine, MachineSpec, StepCpu, build_machine
from hvolab.plugin import registry
from hvolab.scenario import memory_needed


def memory_for(target: Target, hugepages: Mapping[int, int]) -> int:
    """Return bytes of RAM that hold these pages, by size: a whole number of leaves that no table below maps."""
    return round_up(memory_needed(target, 1, hugepages), target.mode.levels[-2].size)


def small_spec(target: Target, hugepages: Mapping[int, int] | None = None) -> MachineSpec:
    """Return the specification of a machine for these pages, whose free memory has no struct pages yet."""
    return MachineSpec(memory=memory_for(target, hugepages or {}), deferred_struct_pages=True)


def emulated_cpu(architecture: Architecture, machine: Machine) -> tuple[StepCpu, EmulationPart]:
    """Return a CPU that executes the description's own instructions, and their declaration.

    For checks that need EMULATED_CPU. Raises UsageError where CPUs of that kind cannot make single steps.
    """
    part, make = architecture.emulation, registry().cpu(EMULATED)
    cpu = None if make is None else make(machine, 0)
    if part is None or not isinstance(cpu, StepCpu):
        raise UsageError(
            f"CPUs of the kind {EMULATED!r} cannot execute single sequences of {architecture.name}",
            rule="checks of instruction sequences run each by itself",
            hint="uninstall the plugin that provides this kind of CPU; hvolab's own can",
        )
    return cpu, part


class PooledMachine:
    """A machine with pools for all its huge page sizes: machine, allocator, HVO engine and pools."""

    def __init__(self, target: Target, hugepages: Mapping[int, int]) -> None:
        self.machine: Machine = build_machine(target, small_spec(target, hugepages))
        if not isinstance(self.machine.frames, FrameAllocator):
            raise MachineError("the kit needs a machine that allocates its own frames")
        self.frames: FrameAllocator = self.machine.frames
        self.hvo = Hvo(self.machine)
        self.pools = [Pool(self.machine, h, self.hvo) for h in hstates(self.machine)]

    def pool(self, size: int) -> Pool:
        """Return the pool of the huge pages of `size` bytes."""
        return next(pool for pool in self.pools if pool.h.size == size)
