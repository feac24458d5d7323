# SPDX-License-Identifier: GPL-2.0-only
"""Zones: the frames of each node and kind, and the order in which a request tries them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from hvolab.errors import UsageError
from hvolab.release.gfp import GFP_ZONE_BITS, Gfp, describe


class ZoneKind(enum.IntEnum):
    """Kinds of zones of a 64-bit kernel, from the lowest to the highest: a request falls back to lower ones only.

    Kernel: enum zone_type in include/linux/mmzone.h, v6.12, without ZONE_HIGHMEM (32-bit kernels have it) and
    ZONE_DEVICE (it serves no request).
    """

    DMA = 0
    DMA32 = 1
    NORMAL = 2
    MOVABLE = 3


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """Frames with PFNs from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """One zone of one node, and the frames that it manages."""

    kind: ZoneKind
    node: int
    extents: tuple[Extent, ...]

    @property
    def frames(self) -> int:
        """Number of frames that the zone manages."""
        return sum(extent.frames for extent in self.extents)

    def __str__(self) -> str:
        return f"node {self.node}, zone {self.kind.name}"


# HIGHMEM alone means NORMAL on a 64-bit kernel, and so does MOVABLE alone; only both together mean ZONE_MOVABLE.
_HIGHEST_ZONE = {
    0: ZoneKind.NORMAL,
    int(Gfp.DMA): ZoneKind.DMA,
    int(Gfp.HIGHMEM): ZoneKind.NORMAL,
    int(Gfp.DMA32): ZoneKind.DMA32,
    int(Gfp.MOVABLE): ZoneKind.NORMAL,
    int(Gfp.MOVABLE | Gfp.DMA): ZoneKind.DMA,
    int(Gfp.MOVABLE | Gfp.HIGHMEM): ZoneKind.MOVABLE,
    int(Gfp.MOVABLE | Gfp.DMA32): ZoneKind.DMA32,
}


def gfp_zone(gfp: int) -> ZoneKind:
    """Return the highest zone that may serve this mask.

    Raises UsageError for a combination of zone bits that means no zone.

    Kernel: gfp_zone() in include/linux/gfp.h, v6.12.
    """
    kind = _HIGHEST_ZONE.get(int(gfp) & GFP_ZONE_BITS)
    if kind is None:
        raise UsageError(
            f"{describe(gfp)} names zones that exclude each other",
            where=f"GFP mask {int(gfp):#x}",
            rule="GFP_ZONE_BAD in include/linux/gfp.h, v6.12",
            hint="name one of DMA, DMA32 and HIGHMEM, and MOVABLE with at most one of them",
        )
    return kind


def zonelist(node: int, gfp: int, zones: Iterable[ZoneSpec]) -> tuple[ZoneSpec, ...]:
    """Return the zones that may serve a request, in the order in which they are tried.

    Nodes by distance from the preferred one (the difference of their numbers, then the lower number), within a node the
    highest zone first; with __GFP_THISNODE the preferred node only. The node may be one without memory. A node that has
    nothing but ZONE_MOVABLE has no part in the zonelist of a GFP_KERNEL request.

    Kernel: build_zonelists() in mm/page_alloc.c, v6.12.
    """
    if node < 0:
        raise UsageError(
            f"node {node} for an allocation",
            rule="alloc_pages_node() in include/linux/gfp.h, v6.12, turns NUMA_NO_NODE into a node first",
            hint="pass the node of the CPU that allocates",
        )
    highest = gfp_zone(gfp)
    this_node_only = bool(int(gfp) & int(Gfp.THISNODE))
    allowed = [zone for zone in zones if zone.kind <= highest and (zone.node == node or not this_node_only)]
    return tuple(sorted(allowed, key=lambda zone: (abs(zone.node - node), zone.node, -zone.kind)))
