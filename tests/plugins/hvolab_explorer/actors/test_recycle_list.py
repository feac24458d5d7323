# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `recycle-list`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, count, optimized


def test_it_frees_pages_and_optimizes_the_list_of_their_folios() -> None:
    world = alone("recycle-list A B.64")
    assert optimized(world, 0)
    assert optimized(world, 1)
    assert count(world, world.folios[1] + 64 * 64) == 0
    assert world.check() == []
