# SPDX-License-Identifier: GPL-2.0-only
"""Pools that shrink and grow."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, explored


def test_a_pool_shrinks_by_the_named_folios() -> None:
    world = alone("shrink A B")
    assert (world.h.nr, world.h.max_huge_pages, world.machine.key) == (0, 0, 0)


def test_a_pool_grows_by_one() -> None:
    world = alone("grow")
    assert (world.h.nr, world.h.free, world.machine.key) == (2, 2, 1)


def test_two_writers_of_one_size_take_turns() -> None:
    result = explored("grow, grow")
    assert (result.complete, list(result.findings), len(result.classes)) == (True, [], 2)
