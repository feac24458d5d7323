# SPDX-License-Identifier: GPL-2.0-only
"""The frame allocator under any sequence of calls, held against a model made of plain sets and dicts.

A twin that makes every run of calls one by one must come out the same, frame by frame.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hvolab.errors import MachineError, OwnershipError
from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.machine.frames.source import Owner
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec
from hvolab.release.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp
from tests.failures import fail_at_random

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvolab.machine.intervals import Pfns

#: The frames of each zone: node 1 has movable memory only, the frames 100 to 103 and 250 upwards are no RAM.
ZONES = {
    (0, ZoneKind.DMA): [(1, 16)],
    (0, ZoneKind.DMA32): [(16, 40)],
    (0, ZoneKind.NORMAL): [(40, 100), (104, 128)],
    (1, ZoneKind.MOVABLE): [(128, 192)],
    (2, ZoneKind.NORMAL): [(192, 222)],
    (2, ZoneKind.MOVABLE): [(222, 236), (236, 250)],
}
FRAMES = {zone: {pfn for start, stop in extents for pfn in range(start, stop)} for zone, extents in ZONES.items()}
RAM = set().union(*FRAMES.values())
KINDS_OF_MASK = {
    GFP_KERNEL: [ZoneKind.NORMAL, ZoneKind.DMA32, ZoneKind.DMA],
    GFP_KERNEL | int(Gfp.DMA32): [ZoneKind.DMA32, ZoneKind.DMA],
    GFP_HIGHUSER_MOVABLE: [ZoneKind.MOVABLE, ZoneKind.NORMAL, ZoneKind.DMA32, ZoneKind.DMA],
}
NODES_FROM = {0: [0, 1, 2], 1: [1, 0, 2], 2: [2, 1, 0], 3: [3, 2, 1, 0]}

masks = st.sampled_from([mask | this_node for mask in KINDS_OF_MASK for this_node in (0, int(Gfp.THISNODE))])
nodes = st.integers(0, 3)
policies: st.SearchStrategy[Callable[[], FailurePolicy]] = st.one_of(
    st.just(NeverFail),
    st.frozensets(st.integers(1, 60), max_size=8).map(lambda numbers: lambda: FailCalls(numbers)),
    st.integers(1, 40).map(lambda number: lambda: FailFrom(number)),
    st.integers(0, 99).map(lambda seed: lambda: fail_at_random(0.1, seed)),
)


def array(pfns: list[int]) -> Pfns:
    return np.array(pfns, np.int64)


def new_allocator() -> FrameAllocator:
    zones = [
        ZoneSpec(kind, node, tuple(Extent(start, stop) for start, stop in extents))
        for (node, kind), extents in ZONES.items()
    ]
    return FrameAllocator(zones, max_order=5)


class AllocatorAgainstSets(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.allocator, self.twin = new_allocator(), new_allocator()
        self.free = set(RAM)
        self.reserved: set[int] = set()
        self.orders: dict[int, int] = {}  # of each allocation, by its first PFN
        self.oracle: FailurePolicy = NeverFail()

    @rule(arm=policies)
    def arm(self, arm: Callable[[], FailurePolicy]) -> None:
        self.allocator.failure, self.twin.failure, self.oracle = arm(), arm(), arm()

    def zones_for(self, node: int, mask: int) -> list[set[int]]:
        kinds = KINDS_OF_MASK[mask & ~int(Gfp.THISNODE)]
        tried = [node] if mask & Gfp.THISNODE else NODES_FROM[node]
        return [FRAMES[each, kind] for each in tried for kind in kinds if (each, kind) in FRAMES]

    def ranges(self, zone: set[int], frames: int, align: int) -> list[int]:
        free = zone & self.free
        return [pfn for pfn in range(0, 256, align) if free.issuperset(range(pfn, pfn + frames))]

    def candidates(self, node: int, mask: int, frames: int, align: int) -> list[int]:
        """The places that one call may give: those of the first zone that has any; none if it is made to fail."""
        if not self.oracle.admit(1, (frames - 1).bit_length()):
            return []
        found = (self.ranges(zone, frames, align) for zone in self.zones_for(node, mask))
        return next((places for places in found if places), [])

    def own(self, pfn: int, order: int) -> None:
        self.free -= set(range(pfn, pfn + (1 << order)))
        self.orders[pfn] = order

    def disown(self, pfn: int) -> None:
        order = self.orders.pop(pfn)
        self.free |= set(range(pfn, pfn + (1 << order)))

    def singles(self) -> list[int]:
        return sorted(pfn for pfn, order in self.orders.items() if order == 0)

    @rule(order=st.integers(0, 5), mask=masks, node=nodes)
    def allocate(self, order: int, mask: int, node: int) -> None:
        candidates = self.candidates(node, mask, 1 << order, 1 << order)
        pfn = self.allocator.allocate(order, mask, node)
        assert self.twin.allocate(order, mask, node) == pfn
        assert (pfn in candidates) if candidates else pfn is None
        if pfn is not None:
            self.own(pfn, order)

    @rule(count=st.integers(0, 90), mask=masks, node=nodes)
    def allocate_run(self, count: int, mask: int, node: int) -> None:
        run = self.allocator.allocate_run(count, mask, node).tolist()
        for pfn in run:
            assert pfn in self.candidates(node, mask, 1, 1)
            assert self.twin.allocate(0, mask, node) == pfn
            self.own(pfn, 0)
        if len(run) < count:
            assert not self.candidates(node, mask, 1, 1)
            assert self.twin.allocate(0, mask, node) is None

    @rule(frames=st.sampled_from([1, 3, 8, 12, 32]), align=st.sampled_from([1, 3, 8]), mask=masks, node=nodes)
    def allocate_contiguous(self, frames: int, align: int, mask: int, node: int) -> None:
        candidates = self.candidates(node, mask, frames, align)
        pfn = self.allocator.allocate_contiguous(frames, mask, node, align)
        assert self.twin.allocate_contiguous(frames, mask, node, align) == pfn
        assert pfn == (candidates[0] if candidates else None)
        if pfn is None:
            return
        if frames.bit_count() == 1:
            self.own(pfn, frames.bit_length() - 1)
        else:
            for each in range(pfn, pfn + frames):
                self.own(each, 0)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def free_one(self, data: st.DataObject) -> None:
        pfn = data.draw(st.sampled_from(sorted(self.orders)))
        for allocator in (self.allocator, self.twin):
            allocator.free(pfn, self.orders[pfn])
        self.disown(pfn)

    @rule(data=st.data())
    def free_run(self, data: st.DataObject) -> None:
        singles = self.singles()
        run = data.draw(st.permutations(singles))[: data.draw(st.integers(0, len(singles)))]
        self.allocator.free_run(array(run))
        for pfn in run:
            self.twin.free(pfn, 0)
            self.disown(pfn)

    @precondition(lambda self: any(self.orders.values()))
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        pfn = data.draw(st.sampled_from(sorted(pfn for pfn, order in self.orders.items() if order)))
        order = self.orders.pop(pfn)
        to_order = data.draw(st.integers(0, order))
        for allocator in (self.allocator, self.twin):
            allocator.split(pfn, order, to_order)
        self.orders |= dict.fromkeys(range(pfn, pfn + (1 << order), 1 << to_order), to_order)

    @rule(start=st.integers(0, 255), count=st.integers(1, 30))
    def reserve(self, start: int, count: int) -> None:
        wanted = set(range(start, start + count))
        allowed = wanted <= self.free
        for allocator in (self.allocator, self.twin):
            with contextlib.nullcontext() if allowed else pytest.raises(MachineError):
                allocator.reserve(start, count)
        if allowed:
            self.free -= wanted
            self.reserved |= wanted

    @rule(frames=st.integers(1, 40), align=st.sampled_from([1, 4, 32]), from_top=st.booleans())
    def reserve_any(self, frames: int, align: int, *, from_top: bool) -> None:
        kernel = set().union(*(zone for (_, kind), zone in FRAMES.items() if kind is not ZoneKind.MOVABLE))
        places = self.ranges(kernel, frames, align) or self.ranges(RAM, frames, align)
        for allocator in (self.allocator, self.twin):
            if places:
                assert allocator.reserve_any(frames, align, from_top=from_top) == places[-1 if from_top else 0]
            else:
                with pytest.raises(MachineError):
                    allocator.reserve_any(frames, align, from_top=from_top)
        if places:
            taken = set(range(places[-1 if from_top else 0], places[-1 if from_top else 0] + frames))
            self.free -= taken
            self.reserved |= taken

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def release_reserved(self, data: st.DataObject) -> None:
        run = data.draw(st.lists(st.sampled_from(sorted(self.reserved)), unique=True))
        for allocator in (self.allocator, self.twin):
            allocator.release_reserved(array(run))
        self.reserved -= set(run)
        self.free |= set(run)

    @precondition(lambda self: self.free)
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        run = data.draw(st.lists(st.sampled_from(sorted(self.free)), unique=True))
        for allocator in (self.allocator, self.twin):
            allocator.adopt(array(run))
        self.free -= set(run)
        self.orders |= dict.fromkeys(run, 0)

    @rule(pfn=st.integers(-2, 300), order=st.integers(0, 6))
    def free_what_is_not_allocated_so(self, pfn: int, order: int) -> None:
        if self.orders.get(pfn) == order:
            return
        with pytest.raises(OwnershipError):
            self.allocator.free(pfn, order)

    @invariant()
    def every_frame_has_the_owner_that_the_sets_say(self) -> None:
        owners = self.allocator.owner(array(sorted(RAM)))
        for pfn, owner in zip(sorted(RAM), owners.tolist(), strict=True):
            expected = Owner.FREE if pfn in self.free else Owner.RESERVED if pfn in self.reserved else Owner.ALLOCATED
            assert owner == expected, hex(pfn)
        assert self.allocator.free_frames == len(self.free)
        assert self.allocator.reserved_frames == len(self.reserved)
        assert self.allocator.allocated_frames == sum(1 << order for order in self.orders.values())
        assert {pfn: order for pfn in range(256) if (order := self.allocator.order_of(pfn)) is not None} == self.orders

    @invariant()
    def a_run_counts_as_many_calls_as_its_frames_and_its_failure(self) -> None:
        assert self.allocator.failure.calls == self.twin.failure.calls == self.oracle.calls


TestAllocatorAgainstSets = pytest.mark.slow(AllocatorAgainstSets.TestCase)
TestAllocatorAgainstSets.settings = settings(max_examples=60, stateful_step_count=40)
