# SPDX-License-Identifier: GPL-2.0-only
"""The free frames of a machine: the free list of each zone, and the choice of lists for a request."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hvolab.machine.frames.free_list import FreeList
from hvolab.machine.frames.zone_map import ZoneMap
from hvolab.machine.frames.zones import ZoneKind, ZoneSpec, zonelist
from hvolab.machine.intervals import Pfns, highest_fit, joined, lowest_fit
from hvolab.release.gfp import GFP_PLACEMENT_BITS


class FreeMemory:
    """Free lists of a machine's zones. As for them, callers make sure of the frames that are free."""

    def __init__(self, zone_map: ZoneMap) -> None:
        self._zone_map = zone_map
        self._lists = tuple(_all_free(zone) for zone in zone_map.zones)
        self._zonelists: dict[tuple[int, int], tuple[FreeList, ...]] = {}

    def save(self) -> Callable[[], None]:
        """Save every free list; return the function that restores them."""
        restores = [free.save() for free in self._lists]

        def restore() -> None:
            for each in restores:
                each()

        return restore

    def zonelist(self, node: int, gfp: int) -> tuple[FreeList, ...]:
        """Return the free lists that may serve a request, in the order in which they are tried."""
        key = (node, gfp & GFP_PLACEMENT_BITS)
        lists = self._zonelists.get(key)
        if lists is None:
            by_zone = dict(zip(self._zone_map.zones, self._lists, strict=True))
            lists = tuple(by_zone[zone] for zone in zonelist(node, gfp, self._zone_map.zones))
            self._zonelists[key] = lists
        return lists

    def list_at(self, pfn: int) -> FreeList:
        """Return the free list of a frame's zone."""
        return self._lists[self._zone_map.index_of(pfn)]

    @staticmethod
    def available(lists: tuple[FreeList, ...], count: int) -> int:
        """Return the number of frames in these lists; counting ends at `count` or more."""
        found = 0
        for free in lists:
            found += free.frames
            if found >= count:
                break
        return found

    @staticmethod
    def take_run(lists: tuple[FreeList, ...], count: int) -> Pfns:
        """Remove and return single frames, from one list after the other; at least `count` must be free."""
        pieces = [np.empty(0, np.int64)]
        for free in lists:
            part = min(count, free.frames)
            if part == count:
                last = free.take_run(part)  # the usual case: one zone has them all
                return last if len(pieces) == 1 else np.concatenate((*pieces, last))
            pieces.append(free.take_run(part))
            count -= part
        return pieces[0]

    def add_run(self, pfns: Pfns) -> None:
        """Add single frames, one after the other."""
        for index, part in self._zone_map.grouped(pfns):
            self._lists[index].add_run(part)

    def remove(self, start: int, stop: int) -> None:
        """Remove a range, which may cross zones."""
        for index, first, last in self._zone_map.pieces(start, stop):
            self._lists[index].remove(first, last)

    def remove_frames(self, pfns: Pfns) -> None:
        """Remove these frames, in any order."""
        for index, part in self._zone_map.grouped(np.sort(pfns, kind="stable")):
            self._lists[index].remove_frames(part)

    def find(self, frames: int, align: int, node: int | None, *, from_top: bool) -> int | None:
        """Return the lowest or highest PFN of an aligned free range, or None.

        The range may cross zones; it is in ZONE_MOVABLE only if the other zones have none.
        """
        fit = highest_fit if from_top else lowest_fit
        zones_with_lists = list(zip(self._zone_map.zones, self._lists, strict=True))
        for highest in (ZoneKind.NORMAL, ZoneKind.MOVABLE):
            extents = [
                free.extents() for zone, free in zones_with_lists if zone.kind <= highest and node in (None, zone.node)
            ]
            if extents:
                starts, stops = (np.concatenate(bounds) for bounds in zip(*extents, strict=True))
                pfn = fit(*joined(starts, stops), frames, align)
                if pfn is not None:
                    return pfn
        return None


def _all_free(zone: ZoneSpec) -> FreeList:
    starts = np.array([extent.start for extent in zone.extents], np.int64)
    stops = np.array([extent.stop for extent in zone.extents], np.int64)
    return FreeList(starts, stops)
