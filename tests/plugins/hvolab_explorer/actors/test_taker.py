# SPDX-License-Identifier: GPL-2.0-only
"""The actors `taker` and `taker-6.11`."""

from __future__ import annotations

import pytest

from tests.plugins.hvolab_explorer.worlds import alone, count, program


@pytest.mark.parametrize("name", ["taker", "taker-6.11"])
def test_a_reference_is_taken_if_there_is_one_and_never_to_a_tail(name: str) -> None:
    made = program(f"allocate A, {name} A A.64")
    world = made.world
    world.machine.records.allocated(world.machine.struct_pages.pfn(world.folios[0]), 1)
    made.actors()[1].body()
    assert count(world, world.folios[0]) == 2
    assert count(world, world.folios[0] + 64 * 64) == 0


def test_without_fake_heads_only_the_count_is_looked_at() -> None:
    world = alone("allocate A, taker A A.64", release="7.2")
    assert (count(world, world.folios[0]), count(world, world.folios[0] + 64 * 64)) == (2, 0)
    assert all("static key" not in step.text for step in world.scheduler.log)


def test_an_alias_of_a_head_in_use_is_left_alone() -> None:
    world = alone("allocate A, taker A.64")
    assert count(world, world.folios[0]) == 1
