# SPDX-License-Identifier: GPL-2.0-only
"""Machines that are built alike, one with modeled and one with emulated CPUs, and what tells them apart."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.machine import Machine, MachineSpec, PhysicalMemory, build_machine
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu

MIB = 1 << 20
#: Pages of the host that are compared at once.
_COMPARED = 4096
#: What the host tells of each of our pages, eight bytes each. Linux: Documentation/admin-guide/mm/pagemap.rst.
_PAGEMAP = Path("/proc/self/pagemap")
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


def backed(memory: PhysicalMemory) -> npt.NDArray[np.bool_]:
    """Which of the host's pages of a memory are not just zeros, page by page; all, where the host does not tell."""
    entries = np.full(memory.size // mmap.PAGESIZE, 1 << 63, dtype=np.uint64)
    if _PAGEMAP.exists():
        with _PAGEMAP.open("rb", buffering=0) as pagemap:
            pagemap.seek(memory.octets.ctypes.data // mmap.PAGESIZE * entries.itemsize)
            read = pagemap.readinto(entries.data.cast("B"))
        assert read == entries.nbytes
    present_or_swapped: npt.NDArray[np.bool_] = entries >> np.uint64(62) != 0
    return present_or_swapped


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
        ours, others = (one.octets.reshape(-1, mmap.PAGESIZE) for one in (memory, self.emulated.memory))
        touched = np.flatnonzero(backed(memory) | backed(self.emulated.memory))
        parts = [np.empty(0, dtype=np.int64)]
        for first in range(0, touched.size, _COMPARED):
            pages = touched[first : first + _COMPARED]
            at, inside = np.nonzero(ours[pages] != others[pages])
            parts.append(pages[at] * mmap.PAGESIZE + inside + memory.base)
        unequal = np.concatenate(parts)
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
