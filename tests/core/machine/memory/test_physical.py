# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory: true bytes, sparse, bounded, in the machine's byte order."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import AbsentMemoryError, MachineError
from hvolab.machine import PhysicalMemory

BASE, SIZE, PAGE_SHIFT = 0x40000000, 1 << 20, 12


def a_memory(byte_order: str = "little", entry_byte_order: str | None = None) -> PhysicalMemory:
    return PhysicalMemory(BASE, SIZE, page_shift=PAGE_SHIFT, byte_order=byte_order, entry_byte_order=entry_byte_order)


def resident() -> int:
    """Bytes of this process that the host backs. Linux: /proc/self/statm."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def test_a_tebibyte_costs_what_it_touches() -> None:
    before = resident()
    memory = PhysicalMemory(0, 1 << 40, page_shift=PAGE_SHIFT)
    for pa in (0, 1 << 39, (1 << 40) - 8):
        memory.write_word(pa, pa | 1)
    assert [memory.read_word(pa) for pa in (0, 1 << 39, (1 << 40) - 8, 1 << 38)] == [1, 1 << 39 | 1, (1 << 40) - 7, 0]
    assert memory.frames == 1 << 28
    assert resident() - before < 32 << 20


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_view_shows_the_same_bytes(byte_order: str) -> None:
    memory = a_memory(byte_order)
    memory.write_word(BASE + 0x1008, 0x0123456789ABCDEF)
    octets = (0x0123456789ABCDEF).to_bytes(8, "little" if byte_order == "little" else "big")
    assert memory.view(BASE + 0x1008, 8).tobytes() == octets
    assert memory.read_word(BASE + 0x1008) == 0x0123456789ABCDEF
    assert memory.scalar[0x1008 // 8] == 0x0123456789ABCDEF
    assert int(memory.words[0x1008 // 8]) == 0x0123456789ABCDEF
    assert int(memory.word_view(BASE + 0x1000, 2)[1]) == 0x0123456789ABCDEF
    assert int(memory.frame((BASE >> PAGE_SHIFT) + 1)[1]) == 0x0123456789ABCDEF
    assert sorted(memory.halves[0x1008 // 4 : 0x1010 // 4].tolist()) == [0x01234567, 0x89ABCDEF]
    memory.half_scalar[0x100C // 4] = 0xFEDCBA98
    assert [memory.half_scalar[index] for index in range(0x1008 // 4, 0x1010 // 4)] == [
        *memory.halves[0x1008 // 4 : 0x1010 // 4].tolist()
    ]
    assert int(memory.halves[0x100C // 4]) == 0xFEDCBA98


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("entry_byte_order", ["little", "big", None])
def test_entries_have_a_byte_order_of_their_own(byte_order: str, entry_byte_order: str | None) -> None:
    memory, pa, raw = a_memory(byte_order, entry_byte_order), BASE + 0x1008, 0x0123456789ABCDEF
    memory.write_entry(pa, raw)
    order = entry_byte_order or byte_order
    assert memory.view(pa, 8).tobytes() == raw.to_bytes(8, "little" if order == "little" else "big")
    assert memory.read_entry(pa) == memory.entry_scalar[0x1008 // 8] == int(memory.entry_view(pa, 1)[0]) == raw
    assert int(memory.peek_entries(np.array([pa >> PAGE_SHIFT]), 2)[0, 1]) == raw
    assert (memory.read_word(pa) == raw) is (order == byte_order)


@pytest.mark.slow
@given(st.integers(0, SIZE // 8 - 1), st.integers(0, (1 << 64) - 1), st.sampled_from(["little", "big"]))
def test_a_word_stored_one_way_is_read_every_way(index: int, value: int, byte_order: str) -> None:
    memory = a_memory(byte_order)
    memory.scalar[index] = value
    assert int(memory.words[index]) == memory.read_word(BASE + index * 8) == value


@pytest.mark.parametrize("pa", [0, BASE - 8, BASE + SIZE - 4, BASE + SIZE, 1 << 50])
def test_there_is_nothing_outside_ram(pa: int) -> None:
    memory = a_memory()
    with pytest.raises(AbsentMemoryError, match=f"no memory at PA {pa:#x}") as caught:
        memory.read_word(pa)
    assert f"RAM is [{BASE:#x}, {BASE + SIZE:#x})" in caught.value.where
    with pytest.raises(AbsentMemoryError):
        memory.write_word(pa, 1)
    with pytest.raises(AbsentMemoryError):
        memory.view(pa, 8)
    assert memory.holds(pa) is (pa == BASE + SIZE - 4)


def test_a_run_that_leaves_ram_is_refused_whole() -> None:
    memory = a_memory()
    with pytest.raises(AbsentMemoryError):
        memory.zero((BASE + SIZE >> PAGE_SHIFT) - 1, 2)
    with pytest.raises(AbsentMemoryError):
        memory.word_view(BASE + SIZE - 16, 3)


@pytest.mark.parametrize(("base", "size"), [(0, 0), (0, 0x1800), (0x800, 0x1000), (0, -0x1000)])
def test_ram_is_whole_pages(base: int, size: int) -> None:
    with pytest.raises(MachineError, match="not a whole number of pages"):
        PhysicalMemory(base, size, page_shift=PAGE_SHIFT)


def test_more_than_the_host_can_map_is_a_machine_error_with_a_hint() -> None:
    with pytest.raises(MachineError, match="does not map") as caught:
        PhysicalMemory(0, 1 << 62, page_shift=PAGE_SHIFT)
    assert "smaller machine" in caught.value.hint


def test_frames_that_a_core_does_not_hold_are_absent() -> None:
    memory = a_memory()
    memory.present = np.ones(memory.frames, dtype=np.bool_)
    memory.present[3] = False
    assert not memory.holds(BASE + 0x3FFF)
    assert memory.holds(BASE + 0x4000)
    memory.view(BASE + 0x2000, 0x1000)
    for pa, size in ((BASE + 0x3000, 8), (BASE + 0x2FFC, 8), (BASE + 0x1000, 0x4000)):
        with pytest.raises(AbsentMemoryError, match="not in the core"):
            memory.view(pa, size)


def test_zeroed_frames_are_zero_and_the_others_stay() -> None:
    memory = a_memory()
    memory.words[:] = 7
    memory.zero((BASE >> PAGE_SHIFT) + 2, 3)
    zero = (memory.pages == 0).all(axis=1)
    assert np.flatnonzero(zero).tolist() == [2, 3, 4]


@pytest.mark.parametrize("page_shift", [12, 14, 16])
def test_released_frames_read_as_zeros_and_their_neighbors_stay(page_shift: int) -> None:
    memory = PhysicalMemory(BASE, 64 << page_shift, page_shift=page_shift)
    memory.words[:] = 7
    first = BASE >> page_shift
    memory.release(np.array([5, 3, 4, 9, 63], dtype=np.int64) + first)
    zero = (memory.pages == 0).all(axis=1)
    assert np.flatnonzero(zero).tolist() == [3, 4, 5, 9, 63]
    assert (memory.pages[~zero] == 7).all()


def test_releasing_nothing_changes_nothing() -> None:
    memory = a_memory()
    memory.words[:] = 7
    memory.release(np.array([], dtype=np.int64))
    assert (memory.words == 7).all()


def test_who_shares_the_pointer_shares_the_bytes() -> None:
    memory = a_memory()
    pointer = memory.octets.ctypes.data
    ctypes.memset(pointer + 0x2000, 0xA5, 8)
    assert memory.read_word(BASE + 0x2000) == 0xA5A5A5A5A5A5A5A5
    memory.write_word(BASE + 0x2008, 0x1122334455667788)
    assert ctypes.string_at(pointer + 0x2008, 8) == bytes.fromhex("8877665544332211")


def test_words_that_changed_since_a_state_are_found_by_frames() -> None:
    memory = PhysicalMemory(0x100000, 64 << 16, page_shift=16)
    memory.save()
    memory.write_word(0x100000 + (3 << 16) + 0x100, 7)
    ((first, last),) = memory.changed(memory.first_pfn, memory.frames)
    assert first <= ((3 << 16) + 0x100) // 8 < last
    assert last - first == max(mmap.PAGESIZE // 8, 512)
    assert memory.changed(memory.first_pfn + 4, 8) == []
