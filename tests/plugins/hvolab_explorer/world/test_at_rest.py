# SPDX-License-Identifier: GPL-2.0-only
"""Findings that are looked up by the state of the machine: every change that an invariant sees makes another state."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.at_rest import AtRest
from hvolab_explorer.world.world import World, WorldProgram
from tests.plugins.hvolab_explorer.worlds import program


@cache
def pooled() -> WorldProgram:
    return program("shrink A B")


def _flip(world: World) -> None:
    world.machine.memory.words[world.machine.struct_pages.locate_one(0x1000) // 8] ^= np.uint64(1)


def _cache(world: World) -> None:
    world.cpus[0].load_word(world.folios[0])


def _count(world: World) -> None:
    world.machine.counters.nr_memmap_pages += 1


def _switch(world: World) -> None:
    world.machine.key += 1


def _allocate(world: World) -> None:
    world.machine.frames.allocate(0, 0, 0)


def _poison(world: World) -> None:
    world.machine.poisoned.add(0x1000)


def _resize(world: World) -> None:
    vars(world.h)["max_huge_pages"] += 1


def _surplus_of_a_node(world: World) -> None:
    vars(world.h)["surplus_node"][0] += 1


def _drop(world: World) -> None:
    world.pools[0].live.discard(world.folios[0])


CHANGES = _flip, _cache, _count, _switch, _allocate, _poison, _resize, _surplus_of_a_node, _drop


def checks(world: World) -> tuple[AtRest, list[str]]:
    """A check of a world, and what it has done: an entry for each check that was not looked up."""
    done: list[str] = []

    def check() -> list[str]:
        done.append("")
        return [str(len(done))]

    return AtRest(world.machine, [world.pools[0]], check), done


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_another_state_until_the_machine_is_restored(change: Callable[[World], None]) -> None:
    world = pooled().world
    world.restore()
    at_rest, done = checks(world)
    assert at_rest.findings() == at_rest.findings() == ["1"]
    change(world)
    assert at_rest.findings() == ["2"]
    world.restore()
    assert at_rest.findings() == ["1"]
    assert len(done) == 2


def test_findings_of_one_state_are_lists_of_their_own() -> None:
    at_rest, _ = checks(pooled().world)
    at_rest.findings().append("more")
    assert at_rest.findings() == ["1"]


@pytest.mark.slow
@pytest.mark.parametrize("actors", ["optimize A, optimize B", "dissolve A, memory-failure A.70"])
def test_each_class_has_the_findings_of_a_check_of_its_own(actors: str) -> None:
    made, limits = program(actors), Limits(first_finding=False)
    looked_up = explore(made, Dpor(), limits)
    made.world._at_rest._state = lambda: None  # type: ignore[method-assign]
    checked = explore(made, Dpor(), limits)
    assert list(looked_up.findings) == list(checked.findings)
    assert looked_up.classes == checked.classes
