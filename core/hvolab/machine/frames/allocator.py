# SPDX-License-Identifier: GPL-2.0-only
"""Allocator of physical frames: the owner of each frame, and the choice of the next frame to allocate.

It models the kernel's page allocator as far as HVO can see it: node and zone fallback, natural alignment, the order of
calls and failures. It has no watermarks, no reclaim and no migration; a request fails when no allowed zone has the
frames, or when the failure policy chooses it. The same calls always return the same frames.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hvolab.errors import MachineError, UsageError
from hvolab.machine.frames.failure import FailurePolicy, NeverFail, restored
from hvolab.machine.frames.free_memory import FreeMemory
from hvolab.machine.frames.states import ALLOCATED, FREE, RESERVED, FrameStates
from hvolab.machine.frames.zone_map import ZoneMap
from hvolab.machine.frames.zones import ZoneSpec
from hvolab.machine.intervals import Pfns


class FrameAllocator:
    """Frames of a machine.

    zones      the memory of the machine
    max_order  the largest order that allocate() serves (the kernel's MAX_PAGE_ORDER)
    failure    policy that makes calls fail; may be replaced at any time

    PFNs are ints and one-dimensional int64 arrays. Methods that free frames raise OwnershipError for a frame in another
    state than they need, and then change nothing.
    """

    def __init__(self, zones: Sequence[ZoneSpec], *, max_order: int = 10, failure: FailurePolicy | None = None) -> None:
        self.failure: FailurePolicy = NeverFail() if failure is None else failure
        self.max_order = max_order
        self._zone_map = ZoneMap(zones)
        self._states = FrameStates(self._zone_map)
        # one step less where each single allocation passes
        self._marks, self._mark, self._limit = self._states.marks, self._states.scalar, len(self._states.marks)
        self._free = FreeMemory(self._zone_map)
        self._total = sum(zone.frames for zone in zones)
        self._allocated = 0
        self._reserved = 0

    def save(self) -> Callable[[], None]:
        """Save every frame's state, the order of free ones and the failure policy; return the function to restore them.

        The policy is restored as a copy.
        """
        restore_states, restore_free = self._states.save(), self._free.save()
        counts, failure = (self._allocated, self._reserved), copy.deepcopy(self.failure)

        def restore() -> None:
            restore_states()
            restore_free()
            self._allocated, self._reserved = counts
            self.failure = restored(self.failure, failure)

        return restore

    def owners(self) -> tuple[npt.NDArray[np.uint8], tuple[tuple[int, int], ...], int, int]:
        """Return what is known of the owners of all frames, to compare it: marks, orders of blocks, and two counts.

        The order in which free frames are allocated is not in it. The marks are a view, and change with the frames.
        """
        return self._marks, tuple(self._states.orders.items()), self._allocated, self._reserved

    def allocate(self, order: int, gfp: int, node: int) -> int | None:
        """Allocate a naturally aligned block of 2 ** order frames; return its head PFN, or None if the call fails.

        Raises UsageError for an order above `max_order`.

        Kernel: __alloc_pages_noprof() in mm/page_alloc.c, v6.12.
        """
        if not 0 <= order <= self.max_order:
            raise UsageError(
                f"an allocation of order {order}",
                where=f"the highest order is {self.max_order}",
                rule="the page allocator serves up to MAX_PAGE_ORDER",
                hint="use allocate_contiguous() for more",
            )
        zones = self._free.zonelist(node, gfp)
        if not self.failure.admit(1, order):
            return None
        for free in zones:
            pfn = free.take_block(order) if order else free.take()
            if pfn is not None:
                self._states.set_block(pfn, order)
                self._allocated += 1 << order
                return pfn
        return None

    def allocate_run(self, count: int, gfp: int, node: int) -> Pfns:
        """Return the PFNs of `count` order-0 calls, one after the other, up to the first that fails.

        A result shorter than `count` means that one call failed: by the policy, or for lack of memory.
        """
        if count < 0:
            raise UsageError(f"a run of {count} frames", hint="request 0 frames or more")
        zones = self._free.zonelist(node, gfp)
        wanted = min(count, self._free.available(zones, count))
        admitted = self.failure.admit(wanted, 0)
        if wanted == admitted < count:
            self.failure.admit(1, 0)  # the call that finds no memory left
        pfns = self._free.take_run(zones, admitted)
        self._marks[pfns] = ALLOCATED
        self._allocated += admitted
        return pfns

    def allocate_contiguous(self, frames: int, gfp: int, node: int, align: int) -> int | None:
        """Allocate frames from the lowest free multiple of `align` in the first zone that has them; return it, or None.

        One call for the failure policy. A power of two of frames is one block of that order, to be freed or split as
        such; of any other number each frame is freed by itself.

        Kernel: alloc_contig_pages_noprof() in mm/page_alloc.c, v6.12, which also migrates pages that are in the way.
        """
        _require_frames(frames, align)
        zones = self._free.zonelist(node, gfp)
        order = (frames - 1).bit_length()
        if not self.failure.admit(1, order):
            return None
        for free in zones:
            pfn = free.take_range(frames, align)
            if pfn is None:
                continue
            if frames == 1 << order:
                self._states.set_block(pfn, order)
            else:
                self._marks[pfn : pfn + frames] = ALLOCATED
            self._allocated += frames
            return pfn
        return None

    def certain(self, count: int, gfp: int, node: int) -> bool:
        """Return whether `count` order-0 calls would all succeed: no call is made to fail, and there is memory."""
        if not isinstance(self.failure, NeverFail):
            return False
        return self._free.available(self._free.zonelist(node, gfp), count) >= count

    def free(self, pfn: int, order: int) -> None:
        """Free the block that was allocated at this PFN with this order.

        Kernel: __free_pages() in mm/page_alloc.c, v6.12.
        """
        if not order and 0 <= pfn < self._limit and self._mark[pfn] == ALLOCATED:
            self._mark[pfn] = FREE
            self._allocated -= 1
            self._free.list_at(pfn).add(pfn)
            return
        self._states.require_block(pfn, order, "freeing")
        self._states.clear_block(pfn, order, FREE)
        self._allocated -= 1 << order
        self._free.list_at(pfn).add_block(int(pfn), order)

    def free_run(self, pfns: Pfns) -> None:
        """Free order-0 frames, one after the other."""
        self._allocated -= self._release(pfns, ALLOCATED, "freeing")

    def release_reserved(self, pfns: Pfns) -> None:
        """Free reserved frames, one after the other.

        Kernel: free_reserved_page() in include/linux/mm.h, v6.12.
        """
        self._reserved -= self._release(pfns, RESERVED, "releasing as reserved")

    def release_reserved_one(self, pfn: int) -> None:
        """Free one reserved frame."""
        if not (0 <= pfn < self._limit and self._mark[pfn] == RESERVED):
            self.release_reserved(np.array([pfn], dtype=np.int64))  # reports why not
            return
        self._mark[pfn] = FREE
        self._reserved -= 1
        self._free.list_at(pfn).add(pfn)

    def split(self, pfn: int, order: int, to_order: int = 0) -> None:
        """Split an allocated block into several of `to_order` each, to be freed by themselves.

        Kernel: split_page() in mm/page_alloc.c, v6.12, which always splits to order 0.
        """
        if not 0 <= to_order <= order:
            raise UsageError(f"splitting order {order} into order {to_order}", hint="split into a lower order")
        self._states.require_block(pfn, order, "splitting")
        self._states.clear_block(pfn, order, FREE)
        self._states.set_blocks(np.arange(pfn, pfn + (1 << order), 1 << to_order, dtype=np.int64), to_order)

    def reserve(self, start: int, count: int) -> None:
        """Reserve a range of free frames, which may cross zones; raises MachineError if one of them is not free.

        Kernel: memblock_reserve() in mm/memblock.c, v6.12.
        """
        self._states.require_free_range(start, count)
        self._free.remove(int(start), int(start) + int(count))
        self._marks[start : start + count] = RESERVED
        self._reserved += int(count)

    def reserve_any(self, frames: int, align: int, node: int | None = None, *, from_top: bool = False) -> int:
        """Reserve the lowest or highest aligned range of free frames, on one node or on any; return its first PFN.

        It is in ZONE_MOVABLE only if the other zones have no such range. Raises MachineError if none has.

        Kernel: memblock_find_in_range_node() in mm/memblock.c, v6.12.
        """
        _require_frames(frames, align)
        pfn = self._free.find(frames, align, node, from_top=from_top)
        if pfn is None:
            raise MachineError(
                f"no {frames} contiguous free frames aligned to {align}",
                where="any node" if node is None else f"node {node}",
                hint="build the machine with more memory",
            )
        self.reserve(pfn, frames)
        return pfn

    def adopt(self, pfns: Pfns, order: int = 0) -> None:
        """Mark free frames as allocated, for a machine built from the memory of another; the PFNs are heads of blocks.

        Raises OwnershipError for a frame that is not free.
        """
        heads = np.asarray(pfns, np.int64)
        if (heads & ((1 << order) - 1)).any():
            raise UsageError(f"blocks of order {order} that are not aligned", hint="adopt blocks by the PFNs of heads")
        frames = (heads[:, np.newaxis] + np.arange(1 << order)).ravel()
        self._states.require_each(frames, FREE, "adopting")
        self._free.remove_frames(frames)
        self._states.set_blocks(heads, order)
        self._allocated += len(frames)

    def adopt_one(self, pfn: int) -> None:
        """Mark one free frame as allocated, without arrays: single steps adopt thousands."""
        if not (self.is_free(pfn) and self._zone_map.contains(pfn)):
            self.adopt(np.array([pfn], dtype=np.int64))  # reports why not
            return
        self._free.list_at(pfn).remove(pfn, pfn + 1)
        self._mark[pfn] = ALLOCATED
        self._allocated += 1

    @property
    def free_frames(self) -> int:
        """Number of free frames."""
        return self._total - self._allocated - self._reserved

    @property
    def allocated_frames(self) -> int:
        """Number of allocated frames."""
        return self._allocated

    @property
    def reserved_frames(self) -> int:
        """Number of reserved frames."""
        return self._reserved

    def owner(self, pfns: Pfns) -> npt.NDArray[np.uint8]:
        """Return the Owner of each frame, in the shape of `pfns`; raises AbsentMemoryError for absent memory."""
        return self._states.owner(np.asarray(pfns, np.int64))

    def is_free(self, pfn: int) -> bool:
        """Return whether one frame is free; False for absent memory."""
        return 0 <= pfn < self._limit and self._mark[pfn] == FREE

    def order_of(self, pfn: int) -> int | None:
        """Return the order of the allocation that begins at this frame, or None if none does."""
        return self._states.order_of(pfn)

    def zone_of(self, pfn: int) -> ZoneSpec:
        """Return the zone of a frame; raises AbsentMemoryError for absent memory."""
        return self._zone_map.zone_of(pfn)

    def _release(self, pfns: Pfns, mark: int, doing: str) -> int:
        """Free frames of this mark; return their number."""
        frames = np.asarray(pfns, np.int64)
        self._states.require_each(frames, mark, doing)
        self._marks[frames] = FREE
        self._free.add_run(frames)
        return len(frames)


def _require_frames(frames: int, align: int) -> None:
    if frames < 1 or align < 1:
        raise UsageError(f"{frames} contiguous frames aligned to {align}", hint="request 1 or more of each")
