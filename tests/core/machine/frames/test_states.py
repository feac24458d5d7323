# SPDX-License-Identifier: GPL-2.0-only
"""States of frames: blocks by their heads, and refusals that name the owner."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.errors import MachineError, OwnershipError
from hvolab.machine.frames.source import Owner
from hvolab.machine.frames.states import ALLOCATED, FREE, HEAD, NOT_RAM, RESERVED, TAIL, FrameStates
from hvolab.machine.frames.zone_map import ZoneMap
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec
from hvolab.machine.intervals import Pfns


def states() -> FrameStates:
    return FrameStates(ZoneMap([ZoneSpec(ZoneKind.NORMAL, 0, (Extent(0, 32), Extent(40, 64)))]))


def pfns(*values: int) -> Pfns:
    return np.array(values, np.int64)


def test_a_block_is_marked_from_its_head() -> None:
    frames = states()
    frames.set_block(8, 2)
    frames.set_blocks(pfns(16, 24), 1)
    frames.set_block(3, 0)
    assert [frames.mark_of(pfn) for pfn in (8, 9, 11, 12, 16, 17, 3, 35)] == [
        *(HEAD, TAIL, TAIL, FREE, HEAD, TAIL, ALLOCATED, NOT_RAM)
    ]
    assert [frames.order_of(pfn) for pfn in (8, 9, 16, 24, 3, 12)] == [2, None, 1, 1, 0, None]
    assert [*frames.scalar[:34]] == frames.marks[:34].tolist()
    frames.clear_block(8, 2, FREE)
    assert frames.order_of(8) is None
    assert set(frames.owner(pfns(8, 9, 10, 11)).tolist()) == {Owner.FREE}


@pytest.mark.parametrize(
    ("order", "again"), [((5, 6, 7), False), ((7, 6, 5), False), ((6, 5, 6), True), ((5, 5), True), ((7,), False)]
)
def test_frames_listed_twice_are_refused_in_any_order(order: tuple[int, ...], again: bool) -> None:  # noqa: FBT001 - a parameter of the test
    frames = states()
    frames.set_blocks(pfns(5, 6, 7), 0)
    if not again:
        frames.require_each(pfns(*order), ALLOCATED, "freeing")
        return
    with pytest.raises(OwnershipError, match=f"freeing twice in one call PFN {max(order):#x} goes against its owner"):
        frames.require_each(pfns(*order), ALLOCATED, "freeing")


def test_the_first_wrong_frame_is_refused_with_its_owner_and_zone() -> None:
    frames = states()
    frames.marks[4] = RESERVED
    with pytest.raises(OwnershipError, match="PFN 0x4, owner RESERVED, node 0, zone NORMAL"):
        frames.require_each(pfns(4, 5), ALLOCATED, "freeing")
    with pytest.raises(OwnershipError, match="PFN 0x23, owner none: it is not RAM"):
        frames.require_each(pfns(1, 35), FREE, "adopting")
    with pytest.raises(OwnershipError, match="with order 1"):
        frames.require_block(4, 1, "splitting")


def test_a_range_is_free_only_where_all_of_it_is_memory_and_free() -> None:
    frames = states()
    frames.require_free_range(20, 12)
    frames.marks[25] = ALLOCATED
    for start, count in ((20, 12), (30, 4), (20, 0)):
        with pytest.raises(MachineError, match=f"{count} frames from PFN {start:#x}"):
            frames.require_free_range(start, count)


def test_saved_states_are_restored() -> None:
    frames = states()
    frames.set_block(8, 3)
    restore = frames.save()
    for _ in range(2):
        frames.clear_block(8, 3, FREE)
        frames.set_block(0, 1)
        restore()
        assert [frames.order_of(pfn) for pfn in (0, 8)] == [None, 3]
        assert frames.mark_of(9) == TAIL
