# SPDX-License-Identifier: GPL-2.0-only
"""Zones: the highest zone that a mask allows, and the order in which zones are tried."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec, gfp_zone, zonelist
from hvolab.release.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL, Gfp


def test_zone_bits_choose_the_highest_zone() -> None:
    assert gfp_zone(GFP_KERNEL) is ZoneKind.NORMAL
    assert gfp_zone(GFP_HIGHUSER_MOVABLE) is ZoneKind.MOVABLE
    assert gfp_zone(GFP_KERNEL | Gfp.MOVABLE) is ZoneKind.NORMAL
    assert gfp_zone(GFP_KERNEL | Gfp.DMA32) is ZoneKind.DMA32
    with pytest.raises(UsageError, match="names zones that exclude each other"):
        gfp_zone(Gfp.DMA | Gfp.DMA32)


def test_zones_are_tried_by_distance_of_their_node_and_the_highest_first() -> None:
    zones = [
        ZoneSpec(kind, node, (Extent(first, first + 4),))
        for first, (kind, node) in zip(
            range(0, 40, 4),
            [(ZoneKind.DMA32, 0), (ZoneKind.NORMAL, 0), (ZoneKind.NORMAL, 1), (ZoneKind.MOVABLE, 2)],
            strict=False,
        )
    ]
    assert [str(zone) for zone in zonelist(1, GFP_KERNEL, zones)] == [
        "node 1, zone NORMAL",
        "node 0, zone NORMAL",
        "node 0, zone DMA32",
    ]
    assert [zone.node for zone in zonelist(1, GFP_HIGHUSER_MOVABLE, zones)] == [1, 0, 0, 2]
    assert zonelist(2, GFP_KERNEL | Gfp.THISNODE, zones) == ()
    assert sum(zone.frames for zone in zones) == 16
    with pytest.raises(UsageError, match="node -1"):
        zonelist(-1, GFP_KERNEL, zones)
