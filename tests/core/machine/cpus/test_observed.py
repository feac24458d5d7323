# SPDX-License-Identifier: GPL-2.0-only
"""A CPU that reports its translations."""

from __future__ import annotations

import pytest

from hvolab.arch import PageFault
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.cpus.bulk import change_bits
from hvolab.machine.cpus.observed import ObservedCpu, Translated
from tests.machines import MIB, x86_64
from tests.primitive_cpu import primitive_cpu


def observed() -> tuple[Machine, ObservedCpu, list[Translated]]:
    """A machine, a CPU over it, and what the CPU reports."""
    machine = build_machine(x86_64(), MachineSpec(memory=128 * MIB))
    seen: list[Translated] = []
    cpu = ObservedCpu(0, machine.memory, machine.tables, machine.trace, observer=seen.append)
    return machine, cpu, seen


def test_a_walk_is_reported_with_its_entries_and_a_hit_without() -> None:
    machine, cpu, seen = observed()
    va = machine.struct_pages.va(64)
    cpu.load_word(va)
    cpu.store_word(va + 8, 1)
    walked, hit = seen
    assert list(walked.walked) == [step.slot for step in machine.tables.walk(va)]
    assert (hit.walked, hit.stores, hit.pa) == ((), True, walked.pa + 8)


def test_flags_that_the_walk_sets_are_reported() -> None:
    machine, cpu, seen = observed()
    va = machine.struct_pages.va(64)
    slot = machine.tables.find(va).slot
    accessed = machine.target.mmu.accessed
    assert accessed is not None
    machine.memory.write_word(slot, machine.memory.read_word(slot) & ~accessed.mask)
    cpu.load_word(va)
    assert slot in seen[0].changed


def test_an_access_that_faults_is_reported_with_the_walk() -> None:
    machine, cpu, seen = observed()
    va = machine.struct_pages.base - (1 << 40)
    with pytest.raises(PageFault):
        cpu.load_word(va)
    assert seen[0].pa == 0
    assert seen[0].walked


def test_translations_equal_those_of_a_cpu_that_does_not_report() -> None:
    machine, cpu, _ = observed()
    for pfn in range(16, 2000, 97):
        va = machine.struct_pages.va(pfn)
        assert cpu.translate(va, 1) == machine.cpus[0].translate(va, 1)  # type: ignore[attr-defined]


def test_bits_change_in_one_access_with_the_same_result_on_a_cpu_without_that_operation() -> None:
    machine, cpu, _ = observed()
    va = machine.page_to_virt(200)
    for each in (cpu, primitive_cpu(machine, 1)):
        cpu.store_word(va, 0b1100)
        assert change_bits(each, va, set_bits=0b1, clear_bits=0b100) == 0b1100
        assert cpu.load_word(va) == 0b1001
