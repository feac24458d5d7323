# SPDX-License-Identifier: GPL-2.0-only
"""The free frames of one zone, and the rule by which the next one is chosen.

Three stores, from the freshest to the oldest:

- loose frames: single frames that were freed, last in first out, like the kernel's per-CPU page lists;
- loose blocks: freed blocks of a higher order, last in first out for each order;
- extents: everything else, as intervals, allocated from the lowest PFN upwards.

A request that these cannot serve makes the loose ones settle: they join the extents, neighbors merge, and the request
is tried once more, so a block is found whenever its frames are free. All of it is deterministic.

Kernel: rmqueue() and free_unref_page() in mm/page_alloc.c, v6.12, choose in this spirit, not in these steps.
"""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_left
from collections.abc import Callable
from operator import neg
from typing import Any

import numpy as np

from hvolab.arithmetic import round_up
from hvolab.machine.intervals import Pfns, joined, runs_of, without


class FreeList:
    """Free frames of one zone. Callers make sure that frames to add are not free, and frames to remove are."""

    def __init__(self, starts: Pfns, stops: Pfns) -> None:
        self._loose = array("q")  # the next one to allocate is last
        self._blocks: dict[int, list[int]] = {}
        self._block_frames = 0
        self._replace_extents(*joined(starts, stops))

    @property
    def frames(self) -> int:
        """Number of free frames."""
        return len(self._loose) + self._extent_frames + self._block_frames

    def take(self) -> int | None:
        """Remove and return the next single frame; None if no frame is free."""
        if self._loose:
            return self._loose.pop()
        if not self._extent_frames:
            if not self._block_frames:
                return None
            self._settle()
        start = self._starts[-1]
        self._cut(len(self._starts) - 1, start, start + 1)
        return start

    def take_run(self, count: int) -> Pfns:
        """Remove and return the frames of `count` calls of take(); at least that many must be free."""
        if count and not self._loose:
            return self._carve_run(count)
        kept = max(0, len(self._loose) - count)
        loose = np.array(self._loose[kept:], np.int64)[::-1]
        del self._loose[kept:]
        return loose if loose.size == count else np.concatenate((loose, self._carve_run(count - loose.size)))

    def take_block(self, order: int) -> int | None:
        """Remove a naturally aligned block of 2 ** order frames; return its head, or None if no such block is free."""
        waiting = self._blocks.get(order)
        if waiting:
            self._block_frames -= 1 << order
            return waiting.pop()
        size = 1 << order
        head = self._carve(size, size)
        if head is None and (self._loose or self._block_frames):
            self._settle()
            head = self._carve(size, size)
        return head

    def take_range(self, frames: int, align: int) -> int | None:
        """Remove the lowest aligned range of that many frames; return its first PFN, or None."""
        self._settle()
        return self._carve(frames, align)

    def _remove_loose(self, pfn: int) -> bool:
        """Remove a loose frame; return False if it is in an extent."""
        try:
            self._loose.remove(pfn)
        except ValueError:
            return False
        return True

    def remove(self, start: int, stop: int) -> None:
        """Remove the frames from `start` up to, not including, `stop`."""
        if stop == start + 1 and self._loose and self._remove_loose(start):
            return
        index = self._index_of_extent_after(start)
        # A range that is only partly inside an extent has loose frames in it.
        if index < 0 or not self._starts[index] <= start < stop <= self._stops[index]:
            if stop == start + 1 and self._break_down(start):
                return
            self._settle()
            index = self._index_of_extent_after(start)
        self._cut(index, start, stop)

    def _break_down(self, pfn: int) -> bool:
        """Remove a frame from its loose block, whose other halves become loose blocks; return False if it has none.

        Kernel: break_down_buddy_pages() in mm/page_alloc.c, v6.12.
        """
        for order, heads in self._blocks.items():
            head = pfn & -(1 << order)
            if head in heads:
                heads.remove(head)
                self._block_frames -= 1 << order
                for half in reversed(range(1, order)):
                    self.add_block((pfn ^ 1 << half) & -(1 << half), half)
                self.add(pfn ^ 1)
                return True
        return False

    def remove_frames(self, pfns: Pfns) -> None:
        """Remove these frames, whose PFNs ascend strictly."""
        starts, stops = self.extents()
        self._replace_extents(*without(starts, stops, *runs_of(pfns)))

    def add(self, pfn: int) -> None:
        """Add a single frame: it is the next to be allocated."""
        self._loose.append(pfn)

    def add_run(self, pfns: Pfns) -> None:
        """Add single frames, one after the other: the last is the next to be allocated."""
        self._loose.frombytes(pfns.astype(np.int64).tobytes())

    def add_block(self, head: int, order: int) -> None:
        """Add a block: it is the next of its order to be allocated."""
        if head & ((1 << order) - 1):
            # A contiguous range may begin anywhere; only an aligned one can serve as a block again.
            self.add_run(np.arange(head, head + (1 << order), dtype=np.int64))
            return
        self._blocks.setdefault(order, []).append(head)
        self._block_frames += 1 << order

    def extents(self) -> tuple[Pfns, Pfns]:
        """Return starts and stops of all free frames as maximal intervals that ascend; the loose ones settle."""
        self._settle()
        return np.array(self._starts[::-1], np.int64), np.array(self._stops[::-1], np.int64)

    def _carve_run(self, count: int) -> Pfns:
        """Remove and return frames from the lowest extents upwards."""
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
        """Cut the lowest aligned range out of the extent that has it; return its start."""
        # No range of this kind begins below the floor: what was searched in vain is not searched again.
        floor = self._floors.get((frames, align), 0)
        for index in range(self._index_of_extent_after(floor), -1, -1):
            candidate = round_up(max(self._starts[index], floor), align)
            if candidate + frames <= self._stops[index]:
                self._floors[frames, align] = candidate
                self._cut(index, candidate, candidate + frames)
                return candidate
        if self._stops:
            self._floors[frames, align] = self._stops[0]
        return None

    def _index_of_extent_after(self, pfn: int) -> int:
        """Return the index of the lowest extent that stops after this PFN; -1 if there is none."""
        return bisect_left(self._stops, -pfn, key=neg) - 1

    def _cut(self, index: int, start: int, stop: int) -> None:
        """Cut a range out of the extent that has it."""
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

    def _settle(self) -> None:
        """Join what is loose with the extents."""
        if not self._loose and not self._block_frames:
            return
        loose = runs_of(np.sort(np.array(self._loose, np.int64)))
        starts, stops = ([np.array(bounds, np.int64)] for bounds in (self._starts, self._stops))
        starts.append(loose[0])
        stops.append(loose[1])
        for order, heads in self._blocks.items():
            starts.append(np.array(heads, np.int64))
            stops.append(starts[-1] + (1 << order))
        self._loose = array("q")
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
        saved = _copied(vars(self))
        return lambda: vars(self).update(_copied(saved))


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """Copy the attributes of a free list, and the lists in them."""
    blocks = {order: heads.copy() for order, heads in state["_blocks"].items()}
    return {name: copy.copy(value) for name, value in state.items()} | {"_blocks": blocks}
