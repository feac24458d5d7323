# SPDX-License-Identifier: GPL-2.0-only
"""The engine on emulated CPUs leaves, byte for byte, what it leaves on modeled ones, whatever fails."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom, NeverFail
from tests.plugins.hvolab_unicorn.twins import MIB, MODES, Twins, target_of, twins

PROFILES = [(mode, "linux") for mode in MODES] + [(mode, "strict") for mode in MODES if "riscv" in mode]
NAMED = [f"{mode}-{profile}" for mode, profile in PROFILES]
EACH_MODE = pytest.mark.parametrize(("mode", "profile"), PROFILES, ids=NAMED)
#: One mode of each architecture and granule: what fails or is heard does not depend on the number of levels.
FEW = ["x86_64-4-level", "arm64-4K-48bit", "arm64-16K-47bit", "arm64-64K-48bit", "riscv-Sv48"]


def memory_of(mode: str) -> int:
    """Enough for a few huge pages of the smaller sizes that HVO can optimize."""
    return {12: 192, 14: 512, 16: 4096}[target_of(mode).mode.page_shift] * MIB


class Life:
    """Pools of a machine that grow and shrink, with notes of all that can be seen from outside."""

    def __init__(self, machine: Machine, *, listen: bool = False) -> None:
        self.machine = machine
        assert isinstance(machine.frames, FrameAllocator)
        self.frames = machine.frames
        hvo = Hvo(machine)
        room = machine.memory.size // 8
        self.pools = [Pool(machine, h, hvo) for h in hstates(machine) if h.size <= room]
        self.monitor = Monitor(machine)
        self.listen = listen
        self.notes: list[Any] = []

    def note(self) -> None:
        machine = self.machine
        self.notes.append(
            {
                "counters": (machine.counters.nr_memmap_pages, machine.counters.nr_memmap_boot_pages),
                "key": machine.key,
                "grace periods": machine.grace_periods,
                "free": self.frames.free_frames,
                "pools": [(pool.h.nr, pool.h.free, pool.h.surplus, sorted(pool.live)) for pool in self.pools],
                "findings": [str(finding) for finding in check(machine, self.pools)],
                "heard": [str(finding) for finding in self.monitor.findings],
            }
        )

    def fill(self, count: int) -> None:
        with self.monitor.watch() if self.listen else nullcontext():
            for pool in self.pools:
                pool.set_max_huge_pages(count)
        self.note()

    def live(self) -> None:
        self.fill(5)
        self.fill(2)
        self.fill(0)


def lived(pair: Twins, *, listen: bool = False, **failing: Any) -> list[Any]:
    """Live on both machines; what was seen on the modeled one, after the same was seen on the other."""
    seen = []
    for machine in (pair.model, pair.emulated):
        life = Life(machine, listen=listen)
        life.frames.failure = failing["policy"]() if failing else NeverFail()
        life.live()
        seen.append((life.notes, life.frames.failure.calls))
    assert seen[0] == seen[1]
    pair.assert_same()
    return seen[0][0]


@pytest.mark.slow
@EACH_MODE
@pytest.mark.parametrize("listen", [False, True], ids=["in runs", "step by step"])
def test_pools_that_grow_and_shrink(mode: str, profile: str, listen: bool) -> None:  # noqa: FBT001
    pair = twins(target_of(mode, profile), MachineSpec(memory=memory_of(mode)))
    notes = lived(pair, listen=listen)
    assert notes[0]["key"] > 0
    assert notes[1]["key"] > 0
    assert notes[2]["key"] == 0
    assert not any(note["findings"] for note in notes)


@pytest.mark.slow
@EACH_MODE
def test_pages_that_the_allocator_gave_and_two_nodes(mode: str, profile: str) -> None:
    spec = MachineSpec(memory=2 * memory_of(mode), nodes=2, vmemmap=VmemmapBacking.BUDDY, cpus=2)
    pair = twins(target_of(mode, profile), spec)
    assert lived(pair)[0]["key"] > 0


@pytest.mark.parametrize("mode", FEW)
def test_a_byte_that_differs_anywhere_would_be_found(mode: str) -> None:
    pair = twins(target_of(mode), MachineSpec(memory=memory_of(mode)))
    assert pair.different().size == 0
    for offset in (pair.model.memory.size - 1, pair.model.memory.size // 2):
        pair.emulated.memory.octets[offset] ^= 1
        assert pair.different().tolist() == [pair.model.memory.base + offset]
        pair.model.memory.octets[offset] ^= 1
        assert pair.different().size == 0


def _calls(mode: str) -> int:
    """Allocation calls of a whole life."""
    pair = twins(target_of(mode), MachineSpec(memory=memory_of(mode)))
    life = Life(pair.model)
    life.frames.failure = FailFrom(1 << 40)
    life.live()
    return life.frames.failure.calls


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 8, 13, 21])
@pytest.mark.parametrize("mode", FEW)
def test_an_allocation_that_fails(mode: str, number: int) -> None:
    pair = twins(target_of(mode), MachineSpec(memory=memory_of(mode)))
    lived(pair, policy=lambda: FailCalls(frozenset({number})))


@pytest.mark.long
@pytest.mark.parametrize("listen", [False, True], ids=["in runs", "step by step"])
@pytest.mark.parametrize("mode", FEW)
def test_every_allocation_failed_in_turn_and_all_from_there_on(mode: str, listen: bool) -> None:  # noqa: FBT001
    calls = _calls(mode)
    numbers = [*range(1, min(calls, 60)), *range(60, calls, max(1, calls // 40))]
    for number in numbers:
        for policy in (lambda n: FailCalls(frozenset({n})), FailFrom):
            pair = twins(target_of(mode), MachineSpec(memory=memory_of(mode)))
            lived(pair, listen=listen, policy=lambda policy=policy, number=number: policy(number))
