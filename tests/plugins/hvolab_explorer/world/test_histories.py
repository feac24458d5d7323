# SPDX-License-Identifier: GPL-2.0-only
"""Histories of single actors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hvolab_explorer.schedule import Replay, Segment
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64


def _actors(*bodies: Callable[[], object]) -> list[Actor]:
    return [Actor(number, f"actor {number}", body, number) for number, body in enumerate(bodies)]


def _optimizers(world: World) -> list[Actor]:
    pairs = zip(world.engines, world.folios, strict=True)
    return _actors(*(partial(engine.optimize_folio, world.h, folio) for engine, folio in pairs))


def test_the_operations_of_two_actors_are_not_mixed() -> None:
    world = World(x86_64(), WorldSpec(folios=2, split=True, cpus=2))
    world.restore(actors=2)
    turns = Replay([Segment(number % 2, 3) for number in range(40)])
    assert world.scheduler.run(_optimizers(world), turns) == []


def test_a_finding_has_the_name_of_the_actor_and_a_schedule_forgets_that_before() -> None:
    world = World(x86_64(), WorldSpec(folios=1, split=True, cpus=1))
    for _ in range(2):
        world.restore()
        found = world.scheduler.run(_actors(world.machine.synchronize_rcu), Replay([]))
        assert len(found) == 1
        assert found[0].startswith("actor 0: invariant 11 (flushes): a grace period was waited for, and no folio")


def test_of_several_actors_the_first_schedule_of_an_exploration_is_watched() -> None:
    world = World(x86_64(), WorldSpec(folios=1, split=True, cpus=1))
    found = []
    for begins in (True, False, True):
        if begins:
            world.scheduler.begin()
        world.restore(actors=2)
        found.append(len(world.scheduler.run(_actors(world.machine.synchronize_rcu), Replay([]))))
    assert found == [1, 0, 1]


def test_a_warning_of_the_kernel_is_a_finding_and_takes_no_step() -> None:
    world = World(x86_64(), WorldSpec(folios=1, split=True, cpus=1))
    world.restore()
    world.pools[0].clear_mark(world.folios[0])
    assert world.scheduler.run(_optimizers(world), Replay([])) == ["actor 0 warns: the folio has no hugetlb type"]
    assert [step.text for step in world.scheduler.log[1:3]] == ["load A+40", "read_lock cpu_hotplug_lock"]
