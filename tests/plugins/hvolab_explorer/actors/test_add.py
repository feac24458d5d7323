# SPDX-License-Identifier: GPL-2.0-only
"""Folios that are added to a pool."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, optimized, program


def test_new_folios_are_in_no_list_and_then_free_and_optimized() -> None:
    before = program("add A B").world
    assert (before.h.nr, before.h.free) == (0, 0)
    world = alone("add A B")
    assert (world.h.nr, world.h.free, world.h.max_huge_pages) == (2, 2, 2)
    assert optimized(world, 0)
    assert optimized(world, 1)
