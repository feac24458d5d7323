# SPDX-License-Identifier: GPL-2.0-only
"""Loops in the guest: arguments that fill the buffer more than once, and rows that exceed it."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import PageFault, PgprotRole
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.twins import lab, pages

WORD = np.uint64(8)


@pytest.fixture(scope="module")
def loops() -> tuple[EmulatedCpu, int, int]:
    """A CPU, the words that its buffer holds, and the VA of room for three buffers."""
    machine, cpu = lab("riscv")
    room = cpu.vcpu.area.words.size
    return cpu, room, pages(machine, 3 * room * 8 // machine.target.mode.page_size + 1)[0]


def test_bytes_and_words_pass_a_buffer_at_a_time(loops: tuple[EmulatedCpu, int, int]) -> None:
    cpu, room, va = loops
    data = np.arange(2 * room + 5, dtype=np.uint64)
    cpu.store(va, data.tobytes())
    assert cpu.load(va, data.nbytes) == data.tobytes()
    assert cpu.load(va + 3, data.nbytes - 5) == data.tobytes()[3:-2]
    vas = np.uint64(va) + data * WORD
    cpu.store_words(vas, data[::-1])
    assert (cpu.load_words(vas) == data[::-1]).all()


def test_a_row_of_entries_may_exceed_the_buffer(loops: tuple[EmulatedCpu, int, int]) -> None:
    cpu, room, va = loops
    rows = np.arange(2 * (room + 3), dtype=np.uint64).reshape(2, -1)
    slots = np.array([va, va + rows.shape[1] * 8], dtype=np.uint64)
    cpu.write_entry_rows(slots, rows)
    assert cpu.load(va, rows.nbytes) == rows.tobytes()
    cpu.write_entry_rows(slots, rows[:, :0])
    assert cpu.load(va, rows.nbytes) == rows.tobytes()


def test_runs_of_words_are_copied_in_order(loops: tuple[EmulatedCpu, int, int]) -> None:
    cpu, room, va = loops
    cpu.store(va, np.arange(room, dtype=np.uint64).tobytes())
    positions = np.arange(room - 1, dtype=np.uint64) * WORD + np.uint64(va)
    cpu.copy_runs(positions + WORD, positions, 8)  # each copies what the one before it has stored
    assert not np.frombuffer(cpu.load(va, room * 8), dtype=np.uint64).any()


def test_touching_a_word_faults_where_it_is_not_writable_and_changes_nothing() -> None:
    machine, cpu = lab("x86_64")
    assert machine.guest is not None
    va, touch = machine.guest.text_va, cpu.vcpu.routines["touch"]
    step = machine.tables.find(va)
    assert step.raw == machine.target.leaf(step.level.name, machine.guest.text[0], PgprotRole.KERNEL_EXEC)
    before = machine.memory.octets.copy()
    cpu.vcpu.call(touch, pages(machine, 1)[0])
    with pytest.raises(PageFault):
        cpu.vcpu.call(touch, va)
    with pytest.raises(PageFault):
        cpu.store(va + machine.target.mode.page_size - 4, bytes(8))
    first, stop = machine.guest.text
    shift = machine.memory.page_shift
    assert (machine.memory.octets[first << shift : stop << shift] == before[first << shift : stop << shift]).all()
