# SPDX-License-Identifier: GPL-2.0-only
"""Counters of a pool in the footprint of a step."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import program


def test_reads_and_writes_of_counters_are_in_the_footprint_and_constants_are_not() -> None:
    world = program("grow").world
    footprint = world.scheduler.footprint
    footprint.touches.clear()
    assert world.h.order == 9
    assert footprint.build().whole == frozenset()
    assert world.h.surplus == 0
    assert footprint.build().reads == {("hstate", "surplus")}
    world.h.count(0, nr=1)
    assert {("hstate", "nr"), ("hstate", "nr_node")} <= footprint.build().writes


def test_counters_return_to_their_first_values() -> None:
    made = program("grow")
    before = (made.world.h.nr, list(made.world.h.nr_node))
    made.world.h.count(0, nr=3)
    made.restore()
    assert (made.world.h.nr, made.world.h.nr_node) == before
