# SPDX-License-Identifier: GPL-2.0-only
"""Machines and pools that several tests build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hvolab.arch import Target
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Finding, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine
from hvolab.plugin import registry

MIB, GIB = 1 << 20, 1 << 30


def x86_64(mode: str | None = None, **choice: Any) -> Target:
    """The x86_64 target of a mode."""
    return registry().architecture("x86_64").select(mode, **choice)


@dataclass
class Pools:
    """A machine with a pool for every huge page size, the smallest first."""

    machine: Machine
    hvo: Hvo
    pools: list[Pool]

    @property
    def frames(self) -> FrameAllocator:
        frames = self.machine.frames
        assert isinstance(frames, FrameAllocator)
        return frames

    def findings(self) -> list[Finding]:
        """What breaks an invariant now."""
        return check(self.machine, self.pools)


def pools(spec: MachineSpec | None = None, target: Target | None = None) -> Pools:
    """A machine with its pools, empty."""
    machine = build_machine(target or x86_64(), spec)
    hvo = Hvo(machine)
    return Pools(machine, hvo, [Pool(machine, h, hvo) for h in hstates(machine)])


def same_bytes(one: Machine, other: Machine) -> bool:
    """Return whether the memories of two machines are equal, which have had no checkpoint.

    Only what either has stored to is compared: the rest is zero, and reading it all would take most of a test's time.
    """
    ours, theirs = one.memory, other.memory
    parts = [part for memory in (ours, theirs) for part in memory.changed(memory.first_pfn, memory.frames)]
    return all(np.array_equal(ours.words[start:stop], theirs.words[start:stop]) for start, stop in parts)
