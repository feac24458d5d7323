"""Loops in the guest: arguments that fill the buffer more than once, and rows that exceed it."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import PgprotRole
from hvolab_unicorn.cpu.runs import Runs
from tests.plugins.hvolab_unicorn.twins import lab, pages

WORD = np.uint64(8)


@pytest.fixture(scope="module")
def runs() -> tuple[Runs, int, int]:
    """The loops of a CPU, the words that its buffer holds, and the VA of room for three buffers."""
    machine, cpu = lab("riscv")
    room = cpu.vcpu.area.words.size
    return Runs(cpu.vcpu), room, pages(machine, 3 * room * 8 // machine.target.mode.page_size + 1)[0]


def test_bytes_and_words_pass_a_buffer_at_a_time(runs: tuple[Runs, int, int]) -> None:
    loops, room, va = runs
    data = np.arange(2 * room + 5, dtype=np.uint64)
    loops.store(va, data.tobytes())
    assert loops.load(va, data.nbytes) == data.tobytes()
    assert loops.load(va + 3, data.nbytes - 5) == data.tobytes()[3:-2]
    vas = np.uint64(va) + data * WORD
    loops.store_words(vas, data[::-1])
    assert (loops.load_words(vas) == data[::-1]).all()


def test_a_row_of_entries_may_exceed_the_buffer(runs: tuple[Runs, int, int]) -> None:
    loops, room, va = runs
    rows = np.arange(2 * (room + 3), dtype=np.uint64).reshape(2, -1)
    slots = np.array([va, va + rows.shape[1] * 8], dtype=np.uint64)
    loops.write_rows(slots, rows)
    assert loops.load(va, rows.nbytes) == rows.tobytes()
    loops.write_rows(slots, rows[:, :0])
    assert loops.load(va, rows.nbytes) == rows.tobytes()


def test_runs_of_words_are_copied_in_order(runs: tuple[Runs, int, int]) -> None:
    loops, room, va = runs
    loops.store(va, np.arange(room, dtype=np.uint64).tobytes())
    positions = np.arange(room - 1, dtype=np.uint64) * WORD + np.uint64(va)
    loops.copy(positions + WORD, positions, 1)  # each copies what the one before it has stored
    assert not np.frombuffer(loops.load(va, room * 8), dtype=np.uint64).any()


def test_touching_a_word_reports_whether_it_is_writable() -> None:
    machine, cpu = lab("x86_64")
    assert machine.guest is not None
    loops, va = Runs(cpu.vcpu), machine.guest.text_va
    step = machine.tables.find(va)
    assert step.raw == machine.target.leaf(step.level.name, machine.guest.text[0], PgprotRole.KERNEL_EXEC)
    before = machine.memory.octets.copy()
    assert loops.can_touch(pages(machine, 1)[0])
    assert not loops.can_touch(va)
    first, stop = machine.guest.text
    shift = machine.memory.page_shift
    assert (machine.memory.octets[first << shift : stop << shift] == before[first << shift : stop << shift]).all()
