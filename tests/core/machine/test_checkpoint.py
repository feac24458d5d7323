# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of machines: against copies of everything that a machine has, whatever was done to it in between."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hvolab.arch import PgprotRole
from hvolab.errors import KernelBug, MachineError, UsageError
from hvolab.hvo import Hvo
from hvolab.machine import Cpu, Machine, MachineSpec, ModelCpu, PhysicalMemory, VmemmapBacking, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.machine.frames.failure import FailCalls, FailFrom
from hvolab.machine.frames.source import Owner
from hvolab.release import KernelRelease
from hvolab.release.gfp import GFP_KERNEL
from hvolab.release.releases import V6_12, V6_12_117, V7_2
from tests.folios import Hstate, allocator, new_folio, new_list
from tests.machines import x86_64

MIB = 1 << 20
ORDER = 9
H = Hstate(ORDER)


def a_machine(memory: int = 32 * MIB, **more: Any) -> Machine:
    return build_machine(x86_64(), MachineSpec(memory=memory, cpus=2, vmemmap=VmemmapBacking.BUDDY, **more))


def state_of(machine: Machine) -> dict[str, Any]:
    """A copy of everything in a machine that can change, made without any of the code under test."""
    frames = allocator(machine)
    lists = [copy.deepcopy(vars(each)) for each in frames._free._lists]
    return {
        "memory": machine.memory.octets.tobytes(),
        "marks": frames._states.marks.tobytes(),
        "orders": frames._states.orders.copy(),
        "frames": (frames.allocated_frames, frames.reserved_frames, frames.free_frames),
        "failure": copy.deepcopy(frames.failure),
        "lists": lists,
        "tlbs": [[list(cached.items()) for _, cached in cpu._tlb] for cpu in machine.cpus if isinstance(cpu, ModelCpu)],
        "counters": asdict(machine.counters),
        "policies": copy.deepcopy((machine.entry_updates, machine.table_updates)),
        "rest": (machine.key, machine.grace_periods, machine.optimize_enabled, machine._data),
        "tails": machine.vmemmap_tails.copy(),
    }


class Checkpoints(RuleBasedStateMachine):
    """Does what HVO and its callers do, takes checkpoints, and restores any of them."""

    @initialize(release=st.sampled_from([V6_12, V6_12_117, V7_2]))
    def build(self, release: KernelRelease) -> None:
        self.machine = a_machine()
        self.hvo = Hvo(self.machine, release=release)
        self.folios = [new_folio(self.machine, ORDER) for _ in range(3)]
        self.blocks: list[tuple[int, int]] = []
        self.saved: list[tuple[Checkpoint, dict[str, Any], list[tuple[int, int]]]] = []

    @rule(which=st.integers(0, 2), calls=st.sampled_from([set(), {1}, {2}, {4}]))
    def optimize(self, which: int, calls: set[int]) -> None:
        allocator(self.machine).failure = FailCalls(frozenset(calls))
        self.hvo.optimize_folio(H, self.folios[which])

    @rule(which=st.integers(0, 2), calls=st.sampled_from([set(), {1}, {3}]))
    def restore_vmemmap(self, which: int, calls: set[int]) -> None:
        allocator(self.machine).failure = FailCalls(frozenset(calls))
        self.hvo.restore_folio(H, self.folios[which])

    @rule()
    def optimize_all(self) -> None:
        self.hvo.optimize_folios(H, new_list(self.machine, self.folios))

    @rule(order=st.integers(0, 3))
    def allocate(self, order: int) -> None:
        pfn = self.machine.alloc_pages(GFP_KERNEL, order)
        if pfn is not None:
            self.blocks.append((pfn, order))

    @precondition(lambda self: self.blocks)
    @rule(which=st.integers(0, 100))
    def free(self, which: int) -> None:
        self.machine.free_pages(*self.blocks.pop(which % len(self.blocks)))

    @rule(cpu=st.integers(0, 1), which=st.integers(0, 2), page=st.integers(0, 7))
    def look(self, cpu: int, which: int, page: int) -> None:
        self.machine.cpus[cpu].load_word(self.folios[which] + page * 4096)

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:  # noqa: FBT001 - hypothesis fills it in by name
        self.machine.optimize_enabled = on

    @rule()
    def lose_updates(self) -> None:
        self.machine.entry_updates = FailFrom(3)
        self.machine.entry_updates.admit(1, 0)

    @rule()
    def save(self) -> None:
        self.saved.append((Checkpoint(self.machine), state_of(self.machine), self.blocks.copy()))

    @precondition(lambda self: self.saved)
    @rule(which=st.integers(0, 100), twice=st.booleans())
    def restore(self, which: int, twice: bool) -> None:  # noqa: FBT001 - hypothesis fills it in by name
        checkpoint, state, blocks = self.saved[which % len(self.saved)]
        for _ in range(1 + twice):
            checkpoint.restore()
        self.blocks = blocks.copy()
        assert state_of(self.machine) == state

    @rule(which=st.integers(0, 2), pickled=st.booleans())
    def copy(self, which: int, pickled: bool) -> None:  # noqa: FBT001 - hypothesis fills it in by name
        state = state_of(self.machine)
        copies = [
            pickle.loads(pickle.dumps(self.machine)) if pickled else copy.deepcopy(self.machine) for _ in range(2)
        ]
        for other in copies:
            assert state_of(other) == state
            Hvo(other, release=self.hvo.release).restore_folio(H, self.folios[which])
            other.alloc_pages(GFP_KERNEL, 0)
            other.cpus[1].store_word(self.folios[which], 7)
        assert state_of(copies[0]) == state_of(copies[1]) != state
        assert state_of(self.machine) == state


Checkpoints.TestCase.settings = settings(max_examples=8, stateful_step_count=25)
TestCheckpoints = pytest.mark.slow(Checkpoints.TestCase)


def test_an_operation_that_ends_in_the_middle_leaves_nothing_behind() -> None:
    machine = a_machine()
    hvo, folio = Hvo(machine), new_folio(machine, ORDER)
    hvo.optimize_folio(H, folio)
    last, mode = machine.tables.find(folio + 7 * 4096).slot, machine.target.mode
    machine.memory.write_word(last, machine.target.leaf(mode.last.name, 1, PgprotRole.KERNEL_RO))
    checkpoint, state = Checkpoint(machine), state_of(machine)
    for _ in range(3):
        with pytest.raises(KernelBug):
            hvo.restore_folio(H, folio)
        assert allocator(machine).allocated_frames > state["frames"][0]
        checkpoint.restore()
        assert state_of(machine) == state


def test_the_same_operations_have_the_same_effect_after_each_restore() -> None:
    machine = a_machine()
    hvo, folios = Hvo(machine), [new_folio(machine, ORDER) for _ in range(3)]
    head = new_list(machine, folios)
    checkpoint, results = Checkpoint(machine), []
    for _ in range(3):
        hvo.optimize_folios(H, head)
        hvo.restore_folio(H, folios[1])
        results.append(state_of(machine))
        checkpoint.restore()
    assert results[1:] == results[:-1]


def test_freed_frames_read_as_zeros_also_in_a_machine_with_a_checkpoint() -> None:
    machine = a_machine(release_freed=True)
    pfn = machine.alloc_pages(GFP_KERNEL, 0)
    assert pfn is not None
    frame = machine.memory.frame(pfn)
    frame[:] = 7
    checkpoint = Checkpoint(machine)
    machine.free_pages(pfn, 0)
    assert not frame.any()
    checkpoint.restore()
    assert (frame == 7).all()
    assert allocator(machine).owner(np.array([pfn]))[0] == Owner.ALLOCATED


def test_a_stale_translation_is_restored_and_a_cpu_that_cannot_save_its_own_is_flushed() -> None:
    machine = a_machine()
    stale, flushed = machine.cpus
    machine.cpus[1] = _Unsaved(flushed)
    va, new = (machine.page_to_virt(frame) for frame in _two_frames(machine))
    stale.load_word(va)
    flushed.load_word(va)
    checkpoint = Checkpoint(machine)
    assert [_translates(cpu) for cpu in (stale, flushed)] == [True, False]
    for cpu in (stale, flushed):
        cpu.flush_all()
        cpu.load_word(new)
        cpu.flush_all() if cpu is stale else None
    checkpoint.restore()
    assert [_translates(cpu) for cpu in (stale, flushed)] == [True, False]


class _Unsaved:
    """A CPU that cannot save its TLB."""

    def __init__(self, cpu: Cpu) -> None:
        self.index, self._cpu = cpu.index, cpu

    def __getattr__(self, name: str) -> Any:
        if name == "save":
            raise AttributeError(name)
        return getattr(self._cpu, name)


def _two_frames(machine: Machine) -> list[int]:
    return [int(pfn) for pfn in machine.alloc_pages_run(2, GFP_KERNEL, 0)]


def _translates(cpu: Cpu) -> bool:
    """Whether the TLB holds anything."""
    cached = cpu.cached_translations()
    assert cached is not None
    return bool(cached.size)


def test_parts_outside_the_machine_are_restored_with_it() -> None:
    machine = a_machine()
    other = PhysicalMemory(0, 1 << 20, page_shift=12)
    other.write_word(8, 1)
    checkpoint = Checkpoint(machine, other)
    other.write_word(8, 2)
    checkpoint.restore()
    assert other.read_word(8) == 1


def test_frames_of_another_kind_are_refused_with_a_hint() -> None:
    machine = a_machine()
    machine.frames = _Frames()
    with pytest.raises(MachineError, match="_Frames has no method save") as caught:
        Checkpoint(machine)
    assert "build_machine()" in caught.value.hint


class _Frames:
    """A source of frames that has no state to save; nothing is allocated from it."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def test_a_machine_has_no_shallow_copy() -> None:
    with pytest.raises(UsageError, match=r"a machine has no shallow copy; hint: use copy.deepcopy\(\)"):
        copy.copy(a_machine())


def test_a_checkpoint_of_a_copy_restores_the_copy() -> None:
    machine = a_machine()
    Checkpoint(machine)
    other = copy.deepcopy(machine)
    state, checkpoint = state_of(other), Checkpoint(other)
    other.alloc_pages(GFP_KERNEL, 0)
    other.memory.octets[:4096] = 1
    checkpoint.restore()
    assert state_of(other) == state == state_of(machine)
