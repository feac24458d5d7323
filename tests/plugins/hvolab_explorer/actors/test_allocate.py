# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `allocate`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, count, optimized


def test_it_optimizes_a_folio_and_takes_it_into_use() -> None:
    world = alone("allocate A")
    assert optimized(world)
    assert count(world, world.folios[0]) == 1
    assert world.check() == []
