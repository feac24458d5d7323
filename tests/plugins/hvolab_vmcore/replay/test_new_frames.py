# SPDX-License-Identifier: GPL-2.0-only
"""New frames of a machine built from a core, and per-frame flags."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import MachineError
from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.replay.machine import build_core_machine
from hvolab_vmcore.replay.new_frames import NewFrames
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import FIRST_FOLIO, OPTIMIZED_2M


def memory(frames: int) -> PhysicalMemory:
    made = PhysicalMemory(0x1000000, frames << 12, page_shift=12)
    made.present = np.zeros(frames, dtype=np.bool_)
    return made


@given(st.sets(st.integers(0x1000, 0x1100), max_size=40), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_blocks_are_aligned_and_overlap_neither_each_other_nor_used_frames(used: set[int], orders: list[int]) -> None:
    room = memory(1024)
    new = NewFrames(room, 0x1010, np.array(sorted(used), dtype=np.int64))
    allocated: list[int] = []
    for order in orders:
        pfn = new.allocate(order, 0, 0)
        assert pfn % (1 << order) == 0
        allocated += range(pfn, pfn + (1 << order))
    assert min(allocated) >= 0x1010
    assert len(set(allocated)) == len(allocated)
    assert not used & set(allocated)
    assert room.present is not None
    assert set((np.flatnonzero(room.present) + 0x1000).tolist()) == set(allocated)


def test_an_allocation_beyond_the_room_raises() -> None:
    new = NewFrames(memory(8), 0x1000, np.empty(0, dtype=np.int64))
    assert new.allocate_run(8, 0, 0).tolist() == list(range(0x1000, 0x1008))
    with pytest.raises(MachineError, match="no room is left above the core's memory for 1 new frames"):
        new.allocate(0, 0, 0)


def test_frames_whose_struct_page_is_not_in_the_core_are_assumed_to_be_boot_memory() -> None:
    core = build_core_machine(scan(open_snapshot(OPTIMIZED_2M)))
    records, unknown, new = core.records, 0x30000, core.new_frames.first
    pfns = np.array([FIRST_FOLIO, unknown, new])
    assert records.known(pfns).tolist() == [True, False, False]
    assert records.reserved(pfns).tolist() == [False, True, False]
    assert records.assumed == {unknown}
    assert not records.any_self_hosted(core.machine.cpus[0], pfns)
    assert not records.self_hosted(core.machine.cpus[0], FIRST_FOLIO)
