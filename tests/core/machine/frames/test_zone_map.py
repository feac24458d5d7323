# SPDX-License-Identifier: GPL-2.0-only
"""The map of zones: the zone of each PFN, for single ones, arrays and ranges."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.errors import AbsentMemoryError
from hvolab.machine.frames.zone_map import ZoneMap
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec

ZONES = (
    ZoneSpec(ZoneKind.NORMAL, 0, (Extent(8, 16), Extent(40, 48))),
    ZoneSpec(ZoneKind.DMA32, 0, (Extent(4, 8),)),
    ZoneSpec(ZoneKind.MOVABLE, 1, (Extent(48, 64),)),
)


def test_single_pfns_and_arrays_have_the_same_zones() -> None:
    zone_map = ZoneMap(ZONES)
    found = zone_map.indices_of(np.arange(-1, 70, dtype=np.int64))
    for pfn, index in zip(range(-1, 70), found.tolist(), strict=True):
        assert zone_map.contains(pfn) is (index >= 0)
        if index >= 0:
            assert zone_map.index_of(pfn) == index
            assert zone_map.zone_of(pfn) is ZONES[index]
        else:
            with pytest.raises(AbsentMemoryError, match=f"PFN {pfn:#x} is in no zone"):
                zone_map.index_of(pfn)
    assert zone_map.limit == 64
    assert ZoneMap(()).indices_of(np.array([3])).tolist() == [-1]


def test_an_array_is_grouped_by_zone_in_its_order() -> None:
    zone_map = ZoneMap(ZONES)
    groups = {index: pfns.tolist() for index, pfns in zone_map.grouped(np.array([50, 9, 5, 47, 8], np.int64))}
    assert groups == {0: [9, 47, 8], 1: [5], 2: [50]}
    assert [(index, pfns.tolist()) for index, pfns in zone_map.grouped(np.array([15, 9], np.int64))] == [(0, [15, 9])]
    assert list(zone_map.grouped(np.array([], np.int64))) == []


def test_a_range_is_cut_at_the_bounds_of_extents() -> None:
    zone_map = ZoneMap(ZONES)
    assert list(zone_map.pieces(6, 50)) == [(1, 6, 8), (0, 8, 16), (0, 40, 48), (2, 48, 50)]
    assert list(zone_map.pieces(16, 40)) == []
