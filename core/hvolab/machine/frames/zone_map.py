# SPDX-License-Identifier: GPL-2.0-only
"""Zone of a PFN: the extents of all zones of a machine in one sorted table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from hvolab.errors import AbsentMemoryError, MachineError
from hvolab.machine.frames.zones import Extent, ZoneSpec
from hvolab.machine.intervals import Pfns


class ZoneMap:
    """Zones of a machine by PFN.

    zones  in the order given; the methods name a zone by its index in it
    limit  one more than the highest PFN

    Raises MachineError for extents that are empty, below PFN 0 or overlap, and for two zones of one kind and node.
    """

    def __init__(self, zones: Sequence[ZoneSpec]) -> None:
        self.zones = tuple(zones)
        _require_single(self.zones)
        placed = sorted((extent, index) for index, zone in enumerate(self.zones) for extent in zone.extents)
        for extent, index in placed:
            _require_frames(extent, self.zones[index])
        for (below, below_index), (above, above_index) in pairwise(placed):
            if above.start < below.stop:
                raise MachineError(
                    f"two extents claim PFN {above.start:#x}",
                    where=f"{self.zones[below_index]} and {self.zones[above_index]}",
                    rule="every frame belongs to one zone",
                    hint="let one extent stop where the next starts",
                )
        self._starts = [extent.start for extent, _ in placed]
        self._stops = [extent.stop for extent, _ in placed]
        self._zones_of_extents = [index for _, index in placed]
        self._start_array = np.array(self._starts, np.int64)
        self._zone_array = np.array(self._zones_of_extents, np.int64)
        self._stop_array = np.array(self._stops, np.int64)
        self.limit = self._stops[-1] if placed else 0

    def contains(self, pfn: int) -> bool:
        """Return whether there is memory at a PFN."""
        extent = bisect_right(self._starts, pfn) - 1
        return extent >= 0 and pfn < self._stops[extent]

    def index_of(self, pfn: int) -> int:
        """Return the zone of a PFN; raises AbsentMemoryError for absent memory."""
        extent = bisect_right(self._starts, pfn) - 1
        if extent < 0 or pfn >= self._stops[extent]:
            raise AbsentMemoryError(
                f"PFN {pfn:#x} is in no zone",
                where=f"PFN {pfn:#x}",
                hint="build a machine with memory there",
            )
        return self._zones_of_extents[extent]

    def zone_of(self, pfn: int) -> ZoneSpec:
        """Return the description of a PFN's zone; raises AbsentMemoryError for absent memory."""
        return self.zones[self.index_of(pfn)]

    def indices_of(self, pfns: Pfns) -> Pfns:
        """Return the zone of each PFN, -1 for absent memory, in the shape of `pfns`."""
        if not self._starts:
            return np.full(pfns.shape, -1, np.int64)
        # One below the first extent: clipped to it, then found to be outside.
        extents = np.maximum(np.searchsorted(self._start_array, pfns, side="right") - 1, 0)
        inside = (pfns >= self._start_array[extents]) & (pfns < self._stop_array[extents])
        return np.where(inside, self._zone_array[extents], -1)

    def grouped(self, pfns: Pfns) -> Iterator[tuple[int, Pfns]]:
        """Yield the PFNs of each zone, in the order given; all must be memory."""
        if not pfns.size:
            return
        first = bisect_right(self._starts, int(pfns.min())) - 1
        if len(self._starts) == 1 or int(pfns.max()) < self._stops[first]:  # the usual case: all in one extent
            yield self._zones_of_extents[first], pfns
            return
        indices = self.indices_of(pfns)
        for index in sorted(set(indices.tolist())):
            yield index, pfns[indices == index]

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield (zone, start, stop) for each extent that has a part of the range from `start` up to `stop`."""
        for extent in range(max(bisect_right(self._starts, start) - 1, 0), len(self._starts)):
            if self._starts[extent] >= stop:
                return
            first, last = max(start, self._starts[extent]), min(stop, self._stops[extent])
            if first < last:
                yield self._zones_of_extents[extent], first, last


def _require_frames(extent: Extent, zone: ZoneSpec) -> None:
    if not 0 <= extent.start < extent.stop:
        raise MachineError(
            f"the extent from PFN {extent.start:#x} up to {extent.stop:#x} has no frames",
            where=str(zone),
            rule="an extent starts at 0 or above and stops after its start",
            hint="correct the bounds of the extent",
        )


def _require_single(zones: tuple[ZoneSpec, ...]) -> None:
    seen = set()
    for zone in zones:
        if (zone.node, zone.kind) in seen:
            raise MachineError(
                f"{zone} is described twice",
                rule="a node has one zone of a kind",
                hint="describe one zone with all its extents",
            )
        seen.add((zone.node, zone.kind))
