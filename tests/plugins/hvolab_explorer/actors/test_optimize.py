# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `optimize`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, optimized


def test_it_optimizes_folios_one_by_one() -> None:
    world = alone("optimize A B")
    assert optimized(world, 0)
    assert optimized(world, 1)
    assert world.check() == []
