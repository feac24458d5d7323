"""Machines that are built alike, one with modelled and one with emulated CPUs, and what tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from hvolab_unicorn.emulated_cpu import EmulatedCpu

MIB = 1 << 20
#: Bytes that are compared at once.
_COMPARED = 16 << 20
ARCHITECTURES = ("x86_64", "arm64", "riscv")


def emulable(*architectures: str) -> list[str]:
    """Every mode that unicorn can do, as ``x86_64-4-level``."""
    found = []
    for name in architectures or ARCHITECTURES:
        architecture = registry().architecture(name)
        assert architecture.emulation is not None
        for mode in architecture.modes:
            refused = architecture.emulation.refusal(architecture.select(mode.name))
            found += [] if refused else [f"{name}-{mode.name}"]
    return found


MODES = emulable()


@cache
def target_of(name: str, profile: str = "linux") -> Target:
    """The target of a mode in :data:`MODES`."""
    architecture, _, mode = name.partition("-")
    return registry().architecture(architecture).select(mode, profile=profile)


@dataclass
class Twins:
    """Two machines."""

    model: Machine
    emulated: Machine
    cpus: list[EmulatedCpu]

    def different(self) -> npt.NDArray[np.int64]:
        """PAs of bytes that differ; guest text and emulated CPUs' own frames are left out, their tables are not."""
        memory = self.model.memory
        guest = self.model.guest
        assert guest is not None
        assert guest == self.emulated.guest
        unequal = np.concatenate(
            [
                np.flatnonzero(memory.octets[part] != self.emulated.memory.octets[part]) + part.start + memory.base
                for part in (slice(first, first + _COMPARED) for first in range(0, memory.size, _COMPARED))
            ]
        )
        pfns = unequal >> memory.page_shift
        own = np.zeros(unequal.size, dtype=np.bool_)
        for first, stop in (guest.text, guest.frames):
            own |= (pfns >= first) & (pfns < stop)
        return unequal[~own]

    def assert_same(self) -> None:
        """Fail with the first byte that differs."""
        found = self.different()
        assert not found.size, f"{found.size} bytes differ, the first at PA {int(found[0]):#x}"


class Lab(NamedTuple):
    """A machine with one emulated CPU."""

    machine: Machine
    cpu: EmulatedCpu


def lab(name: str, spec: MachineSpec | None = None, *, handler: bool = False) -> Lab:
    """A machine of an architecture's first mode, or of a mode in :data:`MODES`, and its first CPU, emulated."""
    target = registry().architecture(name).select() if name in ARCHITECTURES else target_of(name)
    machine = build_machine(target, MachineSpec(memory=64 * MIB) if spec is None else spec)
    return Lab(machine, emulate(machine, handler=handler)[0])


def twins(target: Target, spec: MachineSpec | None = None, *, handler: bool = False) -> Twins:
    """Two machines, built alike."""
    spec = MachineSpec(memory=64 * MIB) if spec is None else spec
    model, emulated = build_machine(target, spec), build_machine(target, spec)
    return Twins(model, emulated, emulate(emulated, handler=handler))


def pages(machine: Machine, count: int) -> list[int]:
    """VAs in the direct map of frames that nobody has, one after the other, each filled with other words."""
    frames = machine.frames.allocate_contiguous(count, 0xCC0, 0, 1)
    assert frames is not None
    words = machine.memory.pages[frames - machine.memory.first_pfn :][:count]
    words[:] = np.arange(words.size, dtype=np.uint64).reshape(words.shape) * np.uint64(0x9E3779B97F4A7C15)
    return [machine.page_to_virt(frames + page) for page in range(count)]
