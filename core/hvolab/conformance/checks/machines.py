"""The machines that checks build: as small as the huge pages that they need."""

from __future__ import annotations

from collections.abc import Mapping

from hvolab.arch import Architecture, EmulationPart, Target
from hvolab.conformance.capabilities import EMULATED
from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import FrameAllocator, Machine, MachineSpec, StepCpu, build_machine
from hvolab.plugin import registry
from hvolab.scenario import memory_needed


def memory_for(target: Target, hugepages: Mapping[int, int]) -> int:
    """Bytes of RAM in which these pages fit, a whole number of the largest leaves that cost nothing to map."""
    needed = memory_needed(target, 1, hugepages)
    unit = target.mode.levels[-2].size
    return -(-needed // unit) * unit


def small_spec(target: Target, hugepages: Mapping[int, int] | None = None) -> MachineSpec:
    """A machine for these pages (default: none), whose free memory has no struct pages yet."""
    return MachineSpec(memory=memory_for(target, hugepages or {}), deferred_struct_pages=True)


def emulated_cpu(architecture: Architecture, machine: Machine) -> tuple[StepCpu, EmulationPart]:
    """A CPU that executes the description's own instructions, and what is declared of them.

    For checks that need EMULATED_CPU. Raises UsageError where CPUs of that kind cannot make single steps.
    """
    part, make = architecture.emulation, registry().cpu(EMULATED)
    cpu = None if make is None else make(machine, 0)
    if part is None or not isinstance(cpu, StepCpu):
        raise UsageError(
            f"CPUs of the kind {EMULATED!r} execute no single sequence of {architecture.name}",
            rule="checks of instruction sequences run each by itself",
            hint="leave out the plugin that gives this kind of CPU; hvolab's own does",
        )
    return cpu, part


class World:
    """A machine with pools for all its huge page sizes.

    machine, hvo, pools  as they are
    frames               its allocator
    """

    def __init__(self, target: Target, hugepages: Mapping[int, int]) -> None:
        self.machine: Machine = build_machine(target, small_spec(target, hugepages))
        if not isinstance(self.machine.frames, FrameAllocator):
            raise MachineError("the kit needs a machine that allocates its own frames")
        self.frames: FrameAllocator = self.machine.frames
        self.hvo = Hvo(self.machine)
        self.pools = [Pool(self.machine, h, self.hvo) for h in hstates(self.machine)]

    def pool(self, size: int) -> Pool:
        """The pool of the huge pages of ``size`` bytes."""
        return next(pool for pool in self.pools if pool.h.size == size)
