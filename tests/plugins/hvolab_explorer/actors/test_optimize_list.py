# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `optimize-list`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, optimized


def test_it_optimizes_a_list() -> None:
    world = alone("optimize-list A B")
    assert optimized(world, 0)
    assert optimized(world, 1)
    assert world.check() == []
