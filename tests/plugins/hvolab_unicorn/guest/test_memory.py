# SPDX-License-Identifier: GPL-2.0-only
"""Memory with holes, as cores have it: what is there is mapped when it is needed, nothing is done twice."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import PageFault, PgprotRole
from hvolab.errors import AbsentMemoryError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, pages, target_of

MODES = {"x86_64": "x86_64-4-level", "arm64": "arm64-4K-48bit", "riscv": "riscv-Sv48"}
EACH = pytest.mark.parametrize("architecture", ARCHITECTURES)
HANDLER = pytest.mark.parametrize("handler", [False, True], ids=["read off the emulator", "recorded by a handler"])


def machine_of(architecture: str) -> Machine:
    return build_machine(target_of(MODES[architecture]), MachineSpec(memory=64 * MIB))


def present(machine: Machine, vas: list[int], *, there: bool) -> None:
    """Take pages out of the machine's memory, or put them back."""
    memory = machine.memory
    if memory.present is None:
        memory.present = np.ones(memory.frames, dtype=np.bool_)
    memory.present[[(va - machine.virt(0)) // 4096 - memory.first_pfn for va in vas]] = there


def late(architecture: str, count: int, *, handler: bool = False) -> tuple[Machine, EmulatedCpu, list[int]]:
    """A machine, its CPU, and pages of which the last is there and not mapped by the emulator yet."""
    machine = machine_of(architecture)
    taken = pages(machine, count)
    present(machine, taken[-1:], there=False)
    cpu = emulate(machine, handler=handler)[0]
    present(machine, taken[-1:], there=True)
    return machine, cpu, taken


@EACH
def test_of_memory_with_holes_what_is_there_is_mapped_when_it_is_needed(architecture: str) -> None:
    machine = machine_of(architecture)
    here, later, never = pages(machine, 3)
    present(machine, [later, never], there=False)
    cpu = emulate(machine)[0]
    word = cpu.load_word(here)
    for page in (later, never):
        for act in (cpu.load_word, lambda va: cpu.store_word(va, 1), lambda va: cpu.copy_page(here, va)):
            with pytest.raises(AbsentMemoryError, match="is not in the core"):
                act(page)
    present(machine, [later], there=True)
    cpu.copy_page(later, here)
    assert cpu.load_word(later) == word
    with pytest.raises(AbsentMemoryError):
        cpu.load_words(np.array([here, never], dtype=np.uint64))


@EACH
@HANDLER
def test_copies_that_build_on_each_other_are_made_once(architecture: str, handler: bool) -> None:  # noqa: FBT001
    """The second pair overwrites what the first one read; then the third meets memory that is not mapped."""
    machine, cpu, (a, b, c, later) = late(architecture, 4, handler=handler)
    before = {page: cpu.load(page, 4096) for page in (a, b, c)}
    cpu.copy_pages(np.array([b, a, later], dtype=np.uint64), np.array([a, c, b], dtype=np.uint64))
    assert cpu.load(b, 4096) == before[a]
    assert cpu.load(a, 4096) == before[c]
    assert cpu.load(later, 4096) == before[a]
    assert machine.memory.view(later - machine.virt(0), 4096).tobytes() == before[a]


@EACH
def test_words_that_build_on_each_other_are_moved_once(architecture: str) -> None:
    """A run of overlapping words, which crosses into memory that is not mapped: each goes one place further down."""
    _, cpu, (first, later) = late(architecture, 2)
    words = [cpu.load_word(va) for va in range(first + 3072, first + 4096, 8)]
    cpu.vcpu.call(cpu.vcpu.routines["copy_words"], first + 3072, first + 3080, 128)
    assert [cpu.load_word(va) for va in range(first + 3072, first + 4088, 8)] == words[1:]
    assert cpu.load_word(first + 4088) == cpu.load_word(later)


@EACH
def test_an_exchange_is_made_once(architecture: str) -> None:
    _, cpu, (later,) = late(architecture, 1)
    there = 0  # the first word of the pages is
    assert cpu.exchange_entry(later, there, 5) == there
    assert cpu.compare_and_swap(later, 5, 6) == 5
    assert cpu.load_word(later) == 6


@EACH
@HANDLER
def test_a_page_table_is_mapped_when_a_walk_needs_it(architecture: str, handler: bool) -> None:  # noqa: FBT001
    """To the emulator the table is empty, and the fault would be one that the tables do not have."""
    machine, cpu, (data, last, table) = late(architecture, 3, handler=handler)
    mode, memory = machine.target.mode, machine.memory
    words = memory.view(table - machine.virt(0), 4096)
    words[:] = 0
    level = mode.levels[-2]
    va = cpu.vcpu.area.text_va + 2 * level.size
    machine.tables.map_leaf(
        va, (data - machine.virt(0)) >> 12, mode.last.name, PgprotRole.KERNEL, lambda _: table - machine.virt(0)
    )
    present(machine, [last], there=False)  # so that it is no neighbor of what is mapped
    cpu.store_word(va + 8, 77)
    assert cpu.load_word(data + 8) == 77
    with pytest.raises(PageFault):
        cpu.store_word(va + 4096, 1)
    assert cpu.load_word(va + 8) == 77


@EACH
@HANDLER
def test_nothing_is_executed_where_a_fetch_leads(architecture: str, handler: bool) -> None:  # noqa: FBT001
    machine, cpu, (later,) = late(architecture, 1, handler=handler)
    mode = machine.target.mode
    va = cpu.vcpu.area.text_va + 40 * mode.page_size
    raw = machine.target.leaf(mode.last.name, (later - machine.virt(0)) >> 12, PgprotRole.KERNEL_EXEC)
    machine.memory.write_word(machine.tables.find(va).slot, raw)
    store = cpu.vcpu.routines["store"].sequence.machine_code
    machine.memory.view(later - machine.virt(0), len(store))[:] = np.frombuffer(store, dtype=np.uint8)
    before = machine.memory.octets.copy()
    cpu.fetch(va)
    block = cpu.vcpu.area.block - machine.virt(machine.memory.base)
    changed = np.flatnonzero(before != machine.memory.octets)
    assert changed.size == 0 or (changed.min() >= block and changed.max() < block + 128)
