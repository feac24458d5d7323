"""New frames of a machine made from a core: none that the core or its vmemmap uses, none twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import MachineError
from hvolab.machine import PhysicalMemory
from hvolab_vmcore.replay.new_frames import NewFrames


def memory(frames: int) -> PhysicalMemory:
    made = PhysicalMemory(0x1000000, frames << 12, page_shift=12)
    made.present = np.zeros(frames, dtype=np.bool_)
    return made


@given(st.sets(st.integers(0x1000, 0x1100), max_size=40), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_blocks_are_aligned_apart_from_each_other_and_from_what_is_taken(taken: set[int], orders: list[int]) -> None:
    room = memory(1024)
    new = NewFrames(room, 0x1010, np.array(sorted(taken), dtype=np.int64))
    handed_out: list[int] = []
    for order in orders:
        pfn = new.allocate(order, 0, 0)
        assert pfn % (1 << order) == 0
        handed_out += range(pfn, pfn + (1 << order))
    assert min(handed_out) >= 0x1010
    assert len(set(handed_out)) == len(handed_out)
    assert not taken & set(handed_out)
    assert room.present is not None
    assert set((np.flatnonzero(room.present) + 0x1000).tolist()) == set(handed_out)


def test_a_room_that_is_used_up_is_told() -> None:
    new = NewFrames(memory(8), 0x1000, np.empty(0, dtype=np.int64))
    assert new.allocate_run(8, 0, 0).tolist() == list(range(0x1000, 0x1008))
    with pytest.raises(MachineError, match="no room is left above the core's memory for 1 new frames"):
        new.allocate(0, 0, 0)
