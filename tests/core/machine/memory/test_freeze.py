# SPDX-License-Identifier: GPL-2.0-only
"""Frozen objects: equal ones over memory of their own, views of it among them, here and in another process."""

from __future__ import annotations

import mmap
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hvolab.machine import Machine, MachineSpec, PhysicalMemory, build_machine
from hvolab.machine.memory.freeze import freeze, thaw
from hvolab.machine.memory.mapping import RestorableMapping
from hvolab.trace import Trace
from tests.machines import x86_64

PAGE = mmap.PAGESIZE
SIZE = 64 * PAGE
STORES = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 255)), max_size=8)


def again(state: Any) -> Any:
    return thaw(*freeze(state))


@settings(max_examples=30)
@example(
    [([(31 * PAGE, 0), (32 * PAGE, 1)], False)]
)  # a run of pages that begins and ends inside parts of the contents
@given(steps=st.lists(st.tuples(STORES, st.booleans()), max_size=4))
def test_memory_has_the_same_bytes_whatever_was_saved_and_stored(steps: list[tuple[Any, bool]]) -> None:
    mapping = RestorableMapping(SIZE)
    saved = []
    for stores, restores in steps:
        for place, value in stores:
            mapping.octets[place] = value
        saved.append(mapping.save())
        if restores:
            saved[0]()
    other = again(mapping)
    assert other.octets.tobytes() == mapping.octets.tobytes()
    before = mapping.octets.tobytes()
    other.octets[:] = 0xFF
    assert mapping.octets.tobytes() == before


def test_views_are_views_of_the_new_memory_and_arrays_beside_it_are_copied() -> None:
    memory = PhysicalMemory(0x1000, SIZE, page_shift=12)
    view, apart = memory.words[3:40:2], np.arange(3)
    other, its_view, its_apart = again((memory, view, apart))
    other.write_word(0x1000 + 5 * 8, 7)
    assert (its_view[1], view[1]) == (7, 0)
    assert (other.scalar[5], other.pages[0][5], other.halves[10], other.octets[40]) == (7, 7, 7, 7)
    assert other.half_scalar[10] == 7
    other.scalar[3] = 9
    assert its_view[0] == 9
    assert its_apart.tolist() == [0, 1, 2]
    assert memory.scalar[3] == 0


def test_entries_keep_their_byte_order() -> None:
    memory = PhysicalMemory(0x1000, SIZE, page_shift=12, entry_byte_order="big")
    memory.write_entry(0x1008, 1 << 56)
    other = again(memory)
    assert (other.read_entry(0x1008), other.entry_scalar[1], other.read_word(0x1008)) == (1 << 56, 1 << 56, 1)


def test_sparse_memory_freezes_to_what_was_touched() -> None:
    memory = PhysicalMemory(0, 1 << 35, page_shift=12)
    memory.write_word(1 << 34, 5)
    contents, _ = freeze(memory)
    assert sum(len(data) for _, parts in contents for _, data in parts) <= 1 << 16
    assert again(memory).read_word(1 << 34) == 5


def test_all_that_share_a_trace_share_one_without_listeners() -> None:
    trace = Trace()
    with trace.listen(lambda _: None):
        first, second = again((trace, trace))
    assert first is second
    assert first is not trace
    assert first.listeners == []


def free_frames(machine: Machine) -> tuple[int, int]:
    """Optimize nothing, allocate a frame; return what says that the machine is the one that was sent."""
    pfn = machine.alloc_pages(0xCC0, 0)
    assert pfn is not None
    return pfn, machine.cpus[0].load_word(machine.page_to_virt(pfn))


@pytest.mark.slow
def test_a_machine_goes_to_another_process() -> None:
    machine = build_machine(x86_64(), MachineSpec(memory=32 << 20))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(free_frames, machine).result()
    assert found == free_frames(pickle.loads(pickle.dumps(machine))) == free_frames(machine)
