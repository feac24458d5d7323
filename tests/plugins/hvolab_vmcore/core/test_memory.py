# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory of a core."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.memory import first_new_pfn, held_frames, load_memory
from tests.plugins.hvolab_vmcore.written_cores import Memory, opened, page, write_core


def test_bytes_are_at_their_pa_and_only_whole_frames_are_present(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([page(0x8001000, 0xAB), Memory(0x8003800, b"\xcd" * 4096, 4096)]))
    memory = load_memory(core, 12, "little")
    assert memory.base == 0x8000000
    assert memory.view(0x8001000, 4096).tobytes() == b"\xab" * 4096
    assert memory.octets[0x3800:0x4800].tobytes() == b"\xcd" * 4096
    assert memory.present is not None
    assert memory.present.nonzero()[0].tolist() == [1]


def test_there_is_room_for_new_frames_above_the_core(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([page(0x8001000)]))
    memory, first = load_memory(core, 12, "little"), first_new_pfn(core, 12)
    assert first << 12 == 0x10000000
    assert memory.base + memory.size - (first << 12) >= 256 << 20


def test_frames_are_held_inside_of_memory_where_they_are_present() -> None:
    memory = PhysicalMemory(0x10000, 4 << 12, page_shift=12)
    pfns = np.array([-1, 0, 0xF, 0x10, 0x11, 0x13, 0x14])
    assert held_frames(memory, pfns).tolist() == [False, False, False, True, True, True, False]
    memory.present = np.array([True, False, False, True])
    assert held_frames(memory, pfns).tolist() == [False, False, False, True, False, True, False]
