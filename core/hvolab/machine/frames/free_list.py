"""The free frames of one zone, and the rule by which the next one is chosen.

Three stores, from the freshest to the oldest:

- loose frames: single frames that were freed, last in first out, like the kernel's per-CPU page lists;
- loose blocks: freed blocks of a higher order, last in first out for each order;
- extents: everything else, as intervals, taken from the lowest PFN upwards.

A request that these cannot serve as they are makes the loose ones settle: they join the extents, neighbors merge, and
the request is tried once more, so a block is found whenever its frames are free. All of it is deterministic.

Kernel: rmqueue() and free_unref_page() in mm/page_alloc.c, v6.12, choose in this spirit, not in these steps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from operator import neg

import numpy as np

from hvolab.machine.intervals import Pfns, joined, runs_of, without

_SMALL = 1024  # loose frames for which there is room at once


class FreeList:
    """The free frames of one zone. It trusts its caller that what is added is not free and what is removed is."""

    __slots__ = ("_block_frames", "_blocks", "_extent_frames", "_floors", "_loose", "_loose_count", "_starts", "_stops")

    def __init__(self, starts: Pfns, stops: Pfns) -> None:
        self._loose = np.empty(_SMALL, np.int64)
        self._loose_count = 0
        self._blocks: dict[int, list[int]] = {}
        self._block_frames = 0
        self._replace_extents(*joined(starts, stops))

    @property
    def frames(self) -> int:
        """How many frames are free."""
        return self._loose_count + self._extent_frames + self._block_frames

    def take(self) -> int | None:
        """The next single frame, or None if no frame is free."""
        if self._loose_count:
            self._loose_count -= 1
            return self._loose.item(self._loose_count)
        if not self._extent_frames:
            if not self._block_frames:
                return None
            self._settle()
        start = self._starts[-1]
        if start + 1 < self._stops[-1]:
            self._starts[-1] = start + 1
        else:
            self._starts.pop()
            self._stops.pop()
        self._extent_frames -= 1
        return start

    def take_run(self, count: int) -> Pfns:
        """The frames that `count` calls of take() would give; at least that many must be free."""
        top = self._loose_count
        if count and not top:
            return self._carve_run(count)
        loose = min(count, top)
        self._loose_count -= loose
        # The reversed view is copied, because frames that are freed later overwrite it.
        taken = self._loose[top - loose : top][::-1].copy()
        if loose == count:
            return taken
        return np.concatenate((taken, self._carve_run(count - loose)))

    def take_block(self, order: int) -> int | None:
        """The head of a naturally aligned block of 2 ** order frames, or None if no such block is free."""
        waiting = self._blocks.get(order)
        if waiting:
            self._block_frames -= 1 << order
            return waiting.pop()
        size = 1 << order
        head = self._carve(size, size)
        if head is None and (self._loose_count or self._block_frames):
            self._settle()
            head = self._carve(size, size)
        return head

    def take_range(self, frames: int, align: int) -> int | None:
        """The lowest multiple of `align` at which that many frames are free, or None."""
        self._settle()
        return self._carve(frames, align)

    def remove(self, start: int, stop: int) -> None:
        """Take out the frames from `start` up to, not including, `stop`."""
        index = self._index_of_extent_after(start)
        # A range that only partly lies in one extent has loose frames in it.
        if index < 0 or not self._starts[index] <= start < stop <= self._stops[index]:
            self._settle()
            index = self._index_of_extent_after(start)
        self._cut(index, start, stop)

    def remove_frames(self, pfns: Pfns) -> None:
        """Take out these frames, whose PFNs ascend strictly."""
        starts, stops = self.extents()
        self._replace_extents(*without(starts, stops, *runs_of(pfns)))

    def add(self, pfn: int) -> None:
        """Give back a single frame: it is the next to be taken."""
        if self._loose_count == len(self._loose):
            self._make_room(1)
        self._loose[self._loose_count] = pfn
        self._loose_count += 1

    def add_run(self, pfns: Pfns) -> None:
        """Give back single frames, one after the other: the last is the next to be taken."""
        self._make_room(len(pfns))
        self._loose[self._loose_count : self._loose_count + len(pfns)] = pfns
        self._loose_count += len(pfns)

    def add_block(self, head: int, order: int) -> None:
        """Give back a block: it is the next of its order to be taken."""
        if head & ((1 << order) - 1):
            # A contiguous range may begin anywhere; only an aligned one can serve as a block again.
            self.add_run(np.arange(head, head + (1 << order), dtype=np.int64))
            return
        self._blocks.setdefault(order, []).append(head)
        self._block_frames += 1 << order

    def extents(self) -> tuple[Pfns, Pfns]:
        """Starts and stops of all free frames as maximal intervals that ascend; the loose ones settle."""
        self._settle()
        return np.array(self._starts[::-1], np.int64), np.array(self._stops[::-1], np.int64)

    def _carve_run(self, count: int) -> Pfns:
        """At least one frame, from the lowest extents upwards."""
        pieces = []
        while count:
            if not self._starts:
                self._settle()
            start = self._starts[-1]
            stop = min(start + count, self._stops[-1])
            pieces.append(np.arange(start, stop, dtype=np.int64))
            self._cut(len(self._starts) - 1, start, stop)
            count -= stop - start
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _carve(self, frames: int, align: int) -> int | None:
        """The lowest aligned range that lies within one extent, cut out of it."""
        # No range of this kind begins below the floor: what was searched in vain is not searched again.
        floor = self._floors.get((frames, align), 0)
        for index in range(self._index_of_extent_after(floor), -1, -1):
            candidate = -(-max(self._starts[index], floor) // align) * align
            if candidate + frames <= self._stops[index]:
                self._floors[frames, align] = candidate
                self._cut(index, candidate, candidate + frames)
                return candidate
        if self._stops:
            self._floors[frames, align] = self._stops[0]
        return None

    def _index_of_extent_after(self, pfn: int) -> int:
        """Index of the lowest extent that stops after this PFN; -1 if there is none."""
        return bisect_left(self._stops, -pfn, key=neg) - 1

    def _cut(self, index: int, start: int, stop: int) -> None:
        """Take a range out of the extent in which it lies."""
        first, last = self._starts[index], self._stops[index]
        if first < start and stop < last:
            self._starts[index : index + 1] = (stop, first)
            self._stops[index : index + 1] = (last, start)
        elif first < start:
            self._stops[index] = start
        elif stop < last:
            self._starts[index] = stop
        else:
            del self._starts[index], self._stops[index]
        self._extent_frames -= stop - start

    def _make_room(self, count: int) -> None:
        needed = self._loose_count + count
        if needed > len(self._loose):
            grown = np.empty(max(needed, 2 * len(self._loose)), np.int64)
            grown[: self._loose_count] = self._loose[: self._loose_count]
            self._loose = grown

    def _settle(self) -> None:
        """Let what is loose join the extents."""
        if not self._loose_count and not self._block_frames:
            return
        run_starts, run_stops = runs_of(np.sort(self._loose[: self._loose_count]))
        starts = [np.array(self._starts, np.int64), run_starts]
        stops = [np.array(self._stops, np.int64), run_stops]
        for order, heads in self._blocks.items():
            starts.append(np.array(heads, np.int64))
            stops.append(starts[-1] + (1 << order))
        self._loose = np.empty(_SMALL, np.int64)
        self._loose_count = 0
        self._blocks.clear()
        self._block_frames = 0
        self._replace_extents(*joined(np.concatenate(starts), np.concatenate(stops)))

    def _replace_extents(self, starts: Pfns, stops: Pfns) -> None:
        # The lowest extent is last in both lists, where taking from it moves nothing.
        self._starts: list[int] = starts[::-1].tolist()
        self._stops: list[int] = stops[::-1].tolist()
        self._extent_frames = int((stops - starts).sum())
        self._floors: dict[tuple[int, int], int] = {}

    def save(self) -> Callable[[], None]:
        """Save the free frames and their order; return the function that restores them."""
        loose, blocks = self._loose[: self._loose_count].copy(), _copy_blocks(self._blocks)
        starts, stops, floors = self._starts.copy(), self._stops.copy(), self._floors.copy()
        frames = self._block_frames, self._extent_frames

        def restore() -> None:
            self._loose_count = 0
            self.add_run(loose)
            self._blocks = _copy_blocks(blocks)
            self._starts, self._stops, self._floors = starts.copy(), stops.copy(), floors.copy()
            self._block_frames, self._extent_frames = frames

        return restore


def _copy_blocks(blocks: dict[int, list[int]]) -> dict[int, list[int]]:
    return {order: heads.copy() for order, heads in blocks.items()}
