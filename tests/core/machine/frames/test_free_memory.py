# SPDX-License-Identifier: GPL-2.0-only
"""The free frames of several zones: one zone after the other, and frames return to their own."""

from __future__ import annotations

import numpy as np

from hvolab.machine.frames.free_memory import FreeMemory
from hvolab.machine.frames.zone_map import ZoneMap
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec
from hvolab.release.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL

ZONES = (
    ZoneSpec(ZoneKind.DMA32, 0, (Extent(0, 8),)),
    ZoneSpec(ZoneKind.NORMAL, 0, (Extent(8, 16),)),
    ZoneSpec(ZoneKind.MOVABLE, 1, (Extent(16, 32),)),
)


def free_memory() -> FreeMemory:
    return FreeMemory(ZoneMap(ZONES))


def test_a_run_uses_up_one_zone_before_the_next() -> None:
    memory = free_memory()
    lists = memory.zonelist(0, GFP_KERNEL)
    assert memory.available(lists, 100) == 16
    assert memory.available(lists, 3) >= 3
    assert memory.take_run(lists, 3).tolist() == [8, 9, 10]
    assert memory.take_run(lists, 7).tolist() == [11, 12, 13, 14, 15, 0, 1]
    assert memory.take_run(lists, 0).size == 0
    assert memory.take_run((), 0).size == 0


def test_frames_return_to_the_lists_of_their_zones() -> None:
    memory = free_memory()
    memory.take_run(memory.zonelist(1, GFP_HIGHUSER_MOVABLE), 32)
    memory.add_run(np.array([20, 3, 9, 21], np.int64))
    assert [memory.list_at(pfn).frames for pfn in (0, 8, 16)] == [1, 1, 2]
    memory.remove_frames(np.array([21, 3], np.int64))
    assert [memory.list_at(pfn).frames for pfn in (0, 8, 16)] == [0, 1, 1]


def test_a_range_may_cross_zones_and_prefers_those_that_the_kernel_can_use() -> None:
    memory = free_memory()
    assert memory.find(12, 2, None, from_top=True) == 4
    assert memory.find(14, 4, None, from_top=False) == 0
    assert memory.find(17, 1, None, from_top=True) == 15
    assert memory.find(2, 1, 1, from_top=False) == 16
    memory.remove(6, 12)
    assert memory.find(7, 1, 0, from_top=False) is None
    assert [memory.list_at(pfn).frames for pfn in (0, 8)] == [6, 4]


def test_saved_lists_are_restored_together() -> None:
    memory = free_memory()
    restore = memory.save()
    lists = memory.zonelist(1, GFP_HIGHUSER_MOVABLE)
    before = memory.take_run(lists, 20).tolist()
    restore()
    assert memory.take_run(lists, 20).tolist() == before
