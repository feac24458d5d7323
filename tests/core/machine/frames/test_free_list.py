# SPDX-License-Identifier: GPL-2.0-only
"""The free list of a zone: fresh frames first, then the lowest, and blocks wherever their frames are free."""

from __future__ import annotations

import numpy as np

from hvolab.machine.frames.free_list import FreeList
from hvolab.machine.intervals import Pfns


def pfns(*values: int) -> Pfns:
    return np.array(values, np.int64)


def free_list(*extents: tuple[int, int]) -> FreeList:
    return FreeList(pfns(*(start for start, _ in extents)), pfns(*(stop for _, stop in extents)))


def test_frames_freed_last_are_allocated_first_and_then_the_lowest() -> None:
    free = free_list((20, 30), (0, 4))
    free.add(50)
    free.add_run(pfns(44, 40, 41))
    assert [free.take(), *free.take_run(4).tolist()] == [41, 40, 44, 50, 0]
    assert free.take_run(5).tolist() == [1, 2, 3, 20, 21]
    assert free.frames == 8
    assert free.take_run(8).tolist() == list(range(22, 30))
    assert free.take() is None
    assert free.take_run(0).size == 0


def test_a_run_does_not_change_when_frames_are_freed_later() -> None:
    free = free_list((0, 8))
    free.add_run(pfns(10, 11))
    taken = free.take_run(2)
    free.add_run(pfns(30, 31))
    assert taken.tolist() == [11, 10]


def test_freed_blocks_are_allocated_again_and_loose_frames_merge_into_blocks() -> None:
    free = free_list((0, 16))
    assert [free.take_block(2), free.take_block(2), free.take_block(3)] == [0, 4, 8]
    free.add_block(8, 3)
    free.add_run(pfns(2, 0, 3, 1))
    assert free.take_block(3) == 8
    assert free.take_block(2) == 0
    assert free.take_block(0) is None
    free.add_block(3, 1)  # not aligned: two loose frames
    assert free.take_run(2).tolist() == [4, 3]


def test_ranges_are_cut_out_of_extents_and_of_what_is_loose() -> None:
    free = free_list((0, 16))
    free.remove(4, 6)
    free.add_run(pfns(4, 5))
    free.remove(3, 7)
    assert [bounds.tolist() for bounds in free.extents()] == [[0, 7], [3, 16]]
    free.remove_frames(pfns(1, 8, 9))
    assert [bounds.tolist() for bounds in free.extents()] == [[0, 2, 7, 10], [1, 3, 8, 16]]
    assert free.take_range(3, 4) == 12
    assert free.take_range(3, 4) is None


def test_a_saved_list_is_restored_any_number_of_times() -> None:
    free = free_list((0, 16))
    free.add_block(32, 2)
    free.add_run(pfns(20, 22))
    restore = free.save()
    expected = free.take_run(10).tolist()
    for _ in range(2):
        restore()
        assert free.frames == 22
        assert free.take_block(2) == 32
        restore()
        assert free.take_run(10).tolist() == expected


def test_a_loose_frame_is_removed_and_the_others_stay_in_their_order() -> None:
    free = free_list((8, 12))
    for pfn in (1, 5, 3):
        free.add(pfn)
    free.remove(5, 6)
    assert (free.frames, free.take(), free.take(), free.take()) == (6, 3, 1, 8)


def test_a_frame_of_a_loose_block_is_removed_and_the_rest_stays_loose() -> None:
    free = free_list((0, 8))
    free.add_block(32, 3)
    free.add(60)
    free.remove(37, 38)
    assert free.frames == 8 + 7 + 1
    assert [free.take_block(2), free.take_block(1)] == [32, 38]
    assert [free.take(), free.take()] == [36, 60]
