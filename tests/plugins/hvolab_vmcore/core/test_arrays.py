"""Frames that a sparse memory holds."""

from __future__ import annotations

import numpy as np

from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.arrays import held_frames


def test_frames_are_held_inside_of_memory_where_they_are_present() -> None:
    memory = PhysicalMemory(0x10000, 4 << 12, page_shift=12)
    pfns = np.array([-1, 0, 0xF, 0x10, 0x11, 0x13, 0x14])
    assert held_frames(memory, pfns).tolist() == [False, False, False, True, True, True, False]
    memory.present = np.array([True, False, False, True])
    assert held_frames(memory, pfns).tolist() == [False, False, False, True, False, True, False]
