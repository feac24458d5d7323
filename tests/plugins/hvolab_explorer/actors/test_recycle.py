# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `recycle`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, count, optimized


def test_it_frees_a_page_and_optimizes_its_folio() -> None:
    world = alone("recycle A.64")
    assert optimized(world)
    assert count(world, world.folios[0] + 64 * 64) == 0
    assert world.check() == []
