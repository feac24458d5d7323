# SPDX-License-Identifier: GPL-2.0-only
"""The frame allocator: what it hands out, what it refuses, and who owns what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hvolab.errors import AbsentMemoryError, MachineError, OwnershipError, UsageError
from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.machine.frames.failure import FailCalls, FailFrom
from hvolab.machine.frames.source import Owner
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec
from hvolab.release.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvolab.machine.intervals import Pfns


def zone(kind: ZoneKind, node: int, *extents: tuple[int, int]) -> ZoneSpec:
    return ZoneSpec(kind, node, tuple(Extent(start, stop) for start, stop in extents))


def one_zone(frames: int = 64, first: int = 0) -> FrameAllocator:
    return FrameAllocator([zone(ZoneKind.NORMAL, 0, (first, first + frames))])


def pfns(*numbers: int) -> Pfns:
    return np.array(numbers, np.int64)


def told(allocator: FrameAllocator, *numbers: int) -> list[str]:
    return [Owner(owner).name for owner in allocator.owner(pfns(*numbers))]


def counts(allocator: FrameAllocator) -> tuple[int, int, int]:
    return allocator.free_frames, allocator.allocated_frames, allocator.reserved_frames


def test_one_frame_is_free_until_it_is_allocated_and_absent_memory_never_is() -> None:
    allocator = one_zone(frames=8)
    assert allocator.is_free(0)
    allocator.allocate(0, GFP_KERNEL, 0)
    assert [allocator.is_free(pfn) for pfn in (0, 1, 8, -1)] == [False, True, False, False]


def test_what_is_known_of_owners_is_equal_if_and_only_if_every_frame_has_the_same() -> None:
    allocator, other = one_zone(), one_zone()

    def alike() -> bool:
        (marks, *rest), (others, *more) = allocator.owners(), other.owners()
        return rest == more and bool((marks == others).all())

    assert alike()
    allocator.allocate(2, GFP_KERNEL, 0)
    assert not alike()
    assert other.allocate_run(4, GFP_KERNEL, 0).tolist() == [0, 1, 2, 3]
    assert not alike()  # a block has the same frames
    allocator.split(0, 2)
    assert alike()


# What is handed out.


def test_fresh_memory_is_handed_out_from_the_lowest_frame_upwards() -> None:
    allocator = one_zone(first=0x100)
    assert [allocator.allocate(0, GFP_KERNEL, 0) for _ in range(3)] == [0x100, 0x101, 0x102]


def test_a_freed_frame_is_the_next_to_be_handed_out() -> None:
    allocator = one_zone()
    allocator.allocate_run(8, GFP_KERNEL, 0)
    allocator.free(5, 0)
    allocator.free_run(pfns(1, 6, 3))
    assert allocator.allocate_run(5, GFP_KERNEL, 0).tolist() == [3, 6, 1, 5, 8]


def test_a_block_is_naturally_aligned_and_leaves_the_frames_before_it() -> None:
    allocator = one_zone(frames=63, first=1)
    assert allocator.allocate(4, GFP_KERNEL, 0) == 16
    assert allocator.allocate_run(16, GFP_KERNEL, 0).tolist() == [*range(1, 16), 32]


def test_freed_frames_merge_into_a_block_when_one_is_asked_for() -> None:
    allocator = one_zone(frames=8)
    taken = allocator.allocate_run(8, GFP_KERNEL, 0)
    allocator.free_run(taken[[5, 4, 7, 6]])
    assert allocator.allocate(2, GFP_KERNEL, 0) == 4
    assert allocator.allocate(0, GFP_KERNEL, 0) is None


def test_single_frames_are_taken_out_of_a_freed_block_when_nothing_else_is_left() -> None:
    allocator = one_zone(frames=8)
    head = allocator.allocate(3, GFP_KERNEL, 0)
    assert head == 0
    allocator.free(head, 3)
    assert allocator.allocate_run(9, GFP_KERNEL, 0).tolist() == list(range(8))


def test_blocks_of_one_order_fill_the_memory_without_gaps() -> None:
    allocator = one_zone()
    assert [allocator.allocate(2, GFP_KERNEL, 0) for _ in range(17)] == [*range(0, 64, 4), None]


def test_contiguous_ranges_of_one_length_fill_the_memory_without_gaps() -> None:
    allocator = one_zone()
    assert [allocator.allocate_contiguous(5, GFP_KERNEL, 0, 5) for _ in range(13)] == [*range(0, 60, 5), None]


def test_a_block_that_was_freed_and_taken_again_is_not_free_any_more() -> None:
    allocator = one_zone(frames=16)
    assert allocator.allocate(3, GFP_KERNEL, 0) == 0
    allocator.free(0, 3)
    assert allocator.allocate(3, GFP_KERNEL, 0) == 0
    assert allocator.allocate_run(16, GFP_KERNEL, 0).tolist() == list(range(8, 16))


def test_a_contiguous_range_that_is_not_aligned_never_comes_back_as_a_block() -> None:
    allocator = one_zone(frames=24, first=3)
    assert allocator.allocate_contiguous(8, GFP_KERNEL, 0, 1) == 3
    allocator.free(3, 3)
    assert [allocator.allocate(3, GFP_KERNEL, 0) for _ in range(3)] == [16, 8, None]


def test_a_run_has_the_frames_of_single_calls_and_ends_with_the_memory() -> None:
    zones = [
        zone(ZoneKind.DMA32, 0, (0, 4), (6, 9)),
        zone(ZoneKind.NORMAL, 0, (9, 12)),
        zone(ZoneKind.NORMAL, 1, (4, 6)),
    ]
    by_run, by_call = FrameAllocator(zones), FrameAllocator(zones)
    singles = [by_call.allocate(0, GFP_KERNEL, 0) for _ in range(13)]
    assert singles == [9, 10, 11, 0, 1, 2, 3, 6, 7, 8, 4, 5, None]
    assert by_run.allocate_run(20, GFP_KERNEL, 0).tolist() == singles[:-1]
    assert by_run.failure.calls == by_call.failure.calls == 13


def test_a_run_of_no_frames_is_no_call() -> None:
    allocator = one_zone()
    allocator.failure = FailFrom(1)
    run = allocator.allocate_run(0, GFP_KERNEL, 0)
    assert run.dtype == np.int64
    assert run.tolist() == []
    assert allocator.failure.calls == 0


def test_an_earlier_run_is_not_overwritten_by_frames_freed_later() -> None:
    allocator = one_zone()
    allocator.free_run(allocator.allocate_run(4, GFP_KERNEL, 0))
    kept = allocator.allocate_run(2, GFP_KERNEL, 0)
    allocator.free_run(allocator.allocate_run(10, GFP_KERNEL, 0))
    assert kept.tolist() == [3, 2]


def test_a_contiguous_range_is_the_lowest_aligned_one_even_among_freed_frames() -> None:
    allocator = one_zone(frames=4096)
    allocator.allocate_run(4096, GFP_KERNEL, 0)
    allocator.free_run(np.arange(4095, 3000, -1))
    allocator.free_run(np.arange(100, 200))
    assert allocator.allocate_contiguous(48, GFP_KERNEL, 0, 32) == 128
    assert allocator.allocate_contiguous(1024, GFP_KERNEL, 0, 1024) == 3072
    assert allocator.allocate_contiguous(1024, GFP_KERNEL, 0, 1) is None


def test_a_gigantic_page_is_freed_as_one_block_and_can_be_had_again() -> None:
    allocator = one_zone(frames=3 << 14, first=5)
    head = allocator.allocate_contiguous(1 << 14, GFP_HIGHUSER_MOVABLE, 0, 1 << 14)
    assert head == 1 << 14
    assert allocator.order_of(head) == 14
    allocator.free(head, 14)
    assert allocator.allocate_contiguous(1 << 14, GFP_HIGHUSER_MOVABLE, 0, 1 << 14) == head


def test_a_contiguous_range_that_is_no_power_of_two_is_freed_frame_by_frame() -> None:
    allocator = one_zone()
    assert allocator.allocate_contiguous(3, GFP_KERNEL, 0, 1) == 0
    allocator.free_run(pfns(0, 1, 2))
    assert counts(allocator) == (64, 0, 0)


def test_a_split_block_is_freed_frame_by_frame() -> None:
    allocator = one_zone()
    assert allocator.allocate(3, GFP_KERNEL, 0) == 0
    allocator.split(0, 3)
    assert [allocator.order_of(pfn) for pfn in range(8)] == [0] * 8
    allocator.free_run(np.arange(8))
    assert counts(allocator) == (64, 0, 0)


def test_a_gigantic_page_is_demoted_by_splitting_it_into_blocks() -> None:
    allocator = one_zone(frames=1 << 12)
    assert allocator.allocate_contiguous(1 << 12, GFP_KERNEL, 0, 1 << 12) == 0
    allocator.split(0, 12, to_order=9)
    assert {pfn for pfn in range(1 << 12) if allocator.order_of(pfn) == 9} == set(range(0, 1 << 12, 512))
    allocator.free(512, 9)
    assert allocator.allocate(9, GFP_KERNEL, 0) == 512


# Zones and nodes.


def machine_with_a_movable_only_node() -> FrameAllocator:
    zones = [zone(ZoneKind.DMA32, 0, (0, 16)), zone(ZoneKind.NORMAL, 0, (16, 32)), zone(ZoneKind.MOVABLE, 1, (32, 64))]
    return FrameAllocator(zones)


def test_kernel_memory_for_a_movable_only_node_comes_from_another_node() -> None:
    allocator = machine_with_a_movable_only_node()
    pfn = allocator.allocate(0, GFP_KERNEL, 1)
    assert pfn == 16
    assert allocator.zone_of(pfn).node == 0


def test_thisnode_on_a_movable_only_node_always_fails() -> None:
    allocator = machine_with_a_movable_only_node()
    assert allocator.allocate(0, GFP_KERNEL | Gfp.THISNODE, 1) is None
    assert allocator.allocate_run(4, GFP_KERNEL | Gfp.THISNODE, 1).tolist() == []
    assert allocator.allocate(2, GFP_KERNEL | Gfp.THISNODE, 1) is None
    assert allocator.allocate_contiguous(4, GFP_KERNEL | Gfp.THISNODE, 1, 1) is None
    assert counts(allocator) == (64, 0, 0)


def test_movable_memory_comes_from_the_movable_zone() -> None:
    allocator = machine_with_a_movable_only_node()
    assert allocator.allocate(4, GFP_HIGHUSER_MOVABLE, 1) == 32
    assert allocator.zone_of(32).kind is ZoneKind.MOVABLE


def test_frames_go_back_to_the_zones_that_they_came_from() -> None:
    allocator = machine_with_a_movable_only_node()
    both = np.concatenate(
        (allocator.allocate_run(32, GFP_KERNEL, 0), allocator.allocate_run(32, GFP_HIGHUSER_MOVABLE, 1))
    )
    allocator.free_run(both[::-1])
    assert sorted(allocator.allocate_run(64, GFP_KERNEL, 1).tolist()) == list(range(32))


# Failure on demand.


def test_a_call_that_is_made_to_fail_takes_no_memory() -> None:
    allocator = one_zone()
    allocator.failure = FailCalls(frozenset({2, 3, 4}))
    assert allocator.allocate(0, GFP_KERNEL, 0) == 0
    assert allocator.allocate(0, GFP_KERNEL, 0) is None
    assert allocator.allocate(3, GFP_KERNEL, 0) is None
    assert allocator.allocate_contiguous(4, GFP_KERNEL, 0, 1) is None
    assert allocator.allocate(0, GFP_KERNEL, 0) == 1
    assert counts(allocator) == (62, 2, 0)


def test_a_run_that_is_made_to_fail_keeps_what_it_got() -> None:
    allocator = one_zone()
    allocator.failure = FailCalls(frozenset({4}))
    assert allocator.allocate_run(7, GFP_KERNEL, 0).tolist() == [0, 1, 2]
    assert allocator.failure.calls == 4
    assert told(allocator, 2, 3) == ["ALLOCATED", "FREE"]


# Reserving at boot, and machines made from cores.


def test_reserved_frames_are_never_handed_out() -> None:
    allocator = one_zone(frames=8)
    allocator.reserve(2, 3)
    assert told(allocator, 1, 2, 4, 5) == ["FREE", "RESERVED", "RESERVED", "FREE"]
    assert allocator.allocate_run(9, GFP_KERNEL, 0).tolist() == [0, 1, 5, 6, 7]


def test_a_reserved_range_may_cross_zones_and_take_frames_that_were_freed_singly() -> None:
    allocator = machine_with_a_movable_only_node()
    allocator.free_run(allocator.allocate_run(20, GFP_KERNEL, 0))
    allocator.reserve(2, 38)
    assert counts(allocator) == (26, 0, 38)
    assert sorted(allocator.allocate_run(64, GFP_HIGHUSER_MOVABLE, 1).tolist()) == [0, 1, *range(40, 64)]


@pytest.mark.parametrize(("start", "count"), [(60, 8), (0, 4), (-2, 4), (5, 0), (200, 1)])
def test_only_free_frames_can_be_reserved(start: int, count: int) -> None:
    allocator = one_zone()
    allocator.reserve(3, 1)
    with pytest.raises(MachineError, match="not all are free"):
        allocator.reserve(start, count)
    assert counts(allocator) == (63, 0, 1)


def test_a_place_to_reserve_is_found_from_either_end() -> None:
    allocator = one_zone(frames=62, first=1)
    assert allocator.reserve_any(4, 8) == 8
    assert allocator.reserve_any(4, 8, from_top=True) == 56
    assert allocator.reserve_any(7, 1) == 1
    assert told(allocator, 7, 8, 11, 12, 55, 56, 60) == [
        *("RESERVED", "RESERVED", "RESERVED", "FREE"),
        *("FREE", "RESERVED", "FREE"),
    ]


def test_boot_memory_spares_the_movable_zone_unless_told_the_node() -> None:
    allocator = machine_with_a_movable_only_node()
    assert allocator.reserve_any(4, 1, from_top=True) == 28
    assert allocator.reserve_any(4, 1, node=1) == 32
    assert allocator.reserve_any(28, 1) == 0  # across DMA32 and NORMAL, which touch
    assert allocator.reserve_any(4, 1) == 36


def test_no_place_to_reserve_is_a_machine_error() -> None:
    allocator = one_zone()
    with pytest.raises(MachineError, match="no 65 contiguous"):
        allocator.reserve_any(65, 1)
    with pytest.raises(MachineError, match="node 3"):
        allocator.reserve_any(1, 1, node=3)


def test_released_boot_frames_can_be_handed_out_again() -> None:
    allocator = one_zone(frames=4)
    allocator.reserve(0, 4)
    allocator.release_reserved(pfns(1, 3))
    assert counts(allocator) == (2, 0, 2)
    assert allocator.allocate_run(4, GFP_KERNEL, 0).tolist() == [3, 1]
    allocator.release_reserved_one(2)
    assert counts(allocator) == (1, 2, 1)
    assert allocator.allocate(0, GFP_KERNEL, 0) == 2


def test_a_single_frame_is_adopted_as_one_of_several_is() -> None:
    one, several = one_zone(frames=64), one_zone(frames=64)
    for pfn in (40, 17, 18):
        one.adopt_one(pfn)
    several.adopt(pfns(40, 17, 18))
    assert counts(one) == counts(several)
    assert one.allocate_run(20, GFP_KERNEL, 0).tolist() == several.allocate_run(20, GFP_KERNEL, 0).tolist()
    one.free(17, 0)
    one.adopt_one(17)
    assert told(one, 17) == ["ALLOCATED"]
    assert counts(one) == counts(several)


def test_a_machine_made_from_a_core_adopts_what_was_in_use() -> None:
    allocator = machine_with_a_movable_only_node()
    allocator.free_run(allocator.allocate_run(5, GFP_KERNEL, 0))
    allocator.adopt(pfns(17, 40, 3))
    allocator.adopt(pfns(48, 8), order=3)
    allocator.reserve(0, 1)
    allocator.reserve(16, 1)
    assert counts(allocator) == (64 - 3 - 16 - 2, 19, 2)
    assert told(allocator, 17, 40, 3, 48, 55, 0, 1) == ["ALLOCATED"] * 5 + ["RESERVED", "FREE"]
    assert [allocator.order_of(pfn) for pfn in (17, 48, 49, 0, 1)] == [0, 3, None, None, None]
    left = allocator.allocate_run(64, GFP_HIGHUSER_MOVABLE, 1)
    assert sorted(left.tolist()) == sorted(set(range(64)) - {17, 40, 3, 0, 16} - set(range(48, 56)) - set(range(8, 16)))
    allocator.free(48, 3)


# What is refused. Nothing may change by it.


def allocator_with_one_of_each() -> FrameAllocator:
    """PFNs 8..11 are a block of order 2, 16 and 17 order 0, 18 reserved, the rest of 0..31 free; 32..39 are no RAM."""
    allocator = FrameAllocator([zone(ZoneKind.NORMAL, 0, (0, 32), (40, 48))])
    allocator.adopt(pfns(8), order=2)
    allocator.adopt(pfns(16, 17))
    allocator.reserve(18, 1)
    return allocator


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda a: a.free(0, 0), "owner FREE"),
        (lambda a: a.free(18, 0), "owner RESERVED"),
        (lambda a: a.free(8, 0), "head of a block of order 2"),
        (lambda a: a.free(8, 3), "head of a block of order 2"),
        (lambda a: a.free(9, 0), "later frame of a block"),
        (lambda a: a.free(16, 1), r"ALLOCATED \(order 0\)"),
        (lambda a: a.free(32, 0), "not RAM"),
        (lambda a: a.free(-1, 0), "not RAM"),
        (lambda a: a.free(1 << 40, 0), "not RAM"),
        (lambda a: a.free_run(pfns(16, 0)), "owner FREE"),
        (lambda a: a.free_run(pfns(16, 17, 16)), "freeing twice in one call PFN 0x10"),
        (lambda a: a.free_run(pfns(16, 9)), "later frame of a block"),
        (lambda a: a.free_run(pfns(16, 8)), "head of a block of order 2"),
        (lambda a: a.free_run(pfns(17, 18)), "owner RESERVED"),
        (lambda a: a.free_run(pfns(17, 33)), "not RAM"),
        (lambda a: a.free_run(pfns(17, -31)), "not RAM"),
        (lambda a: a.free_run(pfns(17, 48)), "not RAM"),
        (lambda a: a.split(9, 1), "later frame of a block"),
        (lambda a: a.split(18, 2), "owner RESERVED"),
        (lambda a: a.release_reserved(pfns(18, 16)), r"ALLOCATED \(order 0\)"),
        (lambda a: a.release_reserved(pfns(18, 18)), "twice in one call PFN 0x12"),
        (lambda a: a.release_reserved(pfns(18, 0)), "owner FREE"),
        (lambda a: a.adopt(pfns(0, 16)), r"ALLOCATED \(order 0\)"),
        (lambda a: a.adopt(pfns(0, 32)), "not RAM"),
        (lambda a: a.adopt(pfns(1, 2, 1)), "twice in one call PFN 0x1"),
        (lambda a: a.adopt(pfns(4, 16), order=2), r"ALLOCATED \(order 0\)"),
        (lambda a: a.adopt(pfns(0, 18)), "owner RESERVED"),
        (lambda a: a.adopt_one(16), r"ALLOCATED \(order 0\)"),
        (lambda a: a.adopt_one(32), "not RAM"),
        (lambda a: a.release_reserved_one(0), "owner FREE"),
        (lambda a: a.release_reserved_one(1 << 40), "not RAM"),
    ],
)
def test_a_frame_used_against_its_owner_is_refused_and_nothing_changes(
    act: Callable[[FrameAllocator], None], found: str
) -> None:
    allocator, untouched = allocator_with_one_of_each(), allocator_with_one_of_each()
    with pytest.raises(OwnershipError, match=found) as refusal:
        act(allocator)
    assert refusal.value.rule == "every frame has exactly one owner"
    assert "PFN 0x" in refusal.value.where or "PFN -0x" in refusal.value.where
    assert refusal.value.hint
    ram = np.array([*range(32), *range(40, 48)])
    assert allocator.owner(ram).tolist() == untouched.owner(ram).tolist()
    assert [allocator.order_of(pfn) for pfn in range(50)] == [untouched.order_of(pfn) for pfn in range(50)]
    assert counts(allocator) == counts(untouched)
    rest, expected = (a.allocate_run(64, GFP_KERNEL, 0).tolist() for a in (allocator, untouched))
    assert rest == expected


@pytest.mark.parametrize("length", [2, 256, 257, 65_536, 65_537])
def test_a_frame_named_twice_in_one_call_is_noticed_however_far_apart(length: int) -> None:
    allocator = one_zone(frames=length)
    run = allocator.allocate_run(length, GFP_KERNEL, 0)
    again = run.copy()
    again[-1] = again[0]
    with pytest.raises(OwnershipError, match="twice in one call PFN 0x0 "):
        allocator.free_run(again)
    assert allocator.owner(run).tolist() == [Owner.ALLOCATED] * length
    allocator.free_run(run)
    assert allocator.free_frames == length


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda a: a.allocate(11, GFP_KERNEL, 0), r"highest order is 10.*allocate_contiguous\(\)"),
        (lambda a: a.allocate(-1, GFP_KERNEL, 0), "order -1"),
        (lambda a: a.allocate_run(-1, GFP_KERNEL, 0), "-1 frames"),
        (lambda a: a.allocate_contiguous(0, GFP_KERNEL, 0, 1), "0 contiguous frames"),
        (lambda a: a.reserve_any(1, 0), "aligned to 0"),
        (lambda a: a.split(8, 2, to_order=3), "order 2 into order 3"),
        (lambda a: a.adopt(pfns(5), order=2), "not aligned"),
    ],
)
def test_arguments_that_mean_nothing_are_refused_and_are_no_call(
    act: Callable[[FrameAllocator], object], message: str
) -> None:
    allocator = allocator_with_one_of_each()
    with pytest.raises(UsageError, match=message):
        act(allocator)
    assert allocator.failure.calls == 0


def test_questions_about_frames_that_do_not_exist_are_answered_or_refused() -> None:
    allocator = allocator_with_one_of_each()
    assert allocator.order_of(35) is None
    for ask in (allocator.zone_of, lambda pfn: allocator.owner(pfns(0, pfn))):
        with pytest.raises(AbsentMemoryError, match="PFN 0x23"):
            ask(35)


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        ([zone(ZoneKind.NORMAL, 0, (0, 16), (15, 20))], "claim PFN 0xf"),
        ([zone(ZoneKind.DMA32, 0, (0, 16)), zone(ZoneKind.NORMAL, 1, (8, 9))], "claim PFN 0x8.*zone DMA32 and node 1"),
        ([zone(ZoneKind.NORMAL, 0, (4, 4))], "has no frames"),
        ([zone(ZoneKind.NORMAL, 0, (4, 2))], "has no frames"),
        ([zone(ZoneKind.NORMAL, 0, (-4, 2))], "starts at 0"),
        ([zone(ZoneKind.NORMAL, 0, (0, 2)), zone(ZoneKind.NORMAL, 0, (2, 4))], "described twice"),
    ],
)
def test_zones_that_contradict_each_other_make_no_machine(zones: list[ZoneSpec], message: str) -> None:
    with pytest.raises(MachineError, match=message):
        FrameAllocator(zones)


# Size.


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc to read the resident size")
def test_a_machine_of_one_tebibyte_costs_next_to_nothing_until_it_is_used() -> None:
    def resident_pages() -> int:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1])

    before = resident_pages()
    allocator = one_zone(frames=1 << 28)
    head = allocator.allocate_contiguous(1 << 18, GFP_HIGHUSER_MOVABLE, 0, 1 << 18)
    assert head == 0
    assert allocator.allocate_run(4095, GFP_KERNEL, 0)[-1] == (1 << 18) + 4094
    assert allocator.free_frames == (1 << 28) - (1 << 18) - 4095
    assert resident_pages() - before < 8 << 20 >> 12
    assert sys.getrefcount(allocator) > 1  # alive until here, so its table was counted
