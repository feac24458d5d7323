# SPDX-License-Identifier: GPL-2.0-only
"""A machine whose services are steps."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab_explorer.schedule import Replay, Segment
from hvolab_explorer.steps.actor import Actor, Exhausted
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64


def test_a_cpu_gets_back_the_frame_that_it_freed_and_another_cpu_does_not() -> None:
    world = World(x86_64(), WorldSpec(cpus=2))
    machine, frames = world.machine, dict[str, int | None]()

    def first() -> None:
        frames["a"] = pfn = machine.alloc_pages(0, 0)
        assert pfn is not None
        machine.free_pages(pfn, 0)
        frames["again"] = machine.alloc_pages(0, 0)

    def second() -> None:
        frames["b"] = machine.alloc_pages(0, 0)

    actors = [Actor(0, "first", first, 0), Actor(1, "second", second, 1)]
    assert world.scheduler.run(actors, Replay([Segment(0, 3), Segment(1, 9)])) == []
    assert frames["a"] == frames["again"] != frames["b"]


def test_a_freed_frame_is_overwritten_on_request() -> None:
    world = World(x86_64(), WorldSpec(cpus=1, options=WorldOptions(poisoned=True)))
    machine, freed = world.machine, list[int]()

    def body() -> None:
        (pfn,) = machine.alloc_pages_run(1, 0, 0).tolist()
        machine.free_page_run(np.array([pfn]))
        freed.append(pfn)

    world.scheduler.run([Actor(0, "", body, 0)], Replay([]))
    assert (machine.memory.octets.reshape(-1, 4096)[freed[0] - machine.memory.first_pfn] == 0xAA).all()


def test_a_cpu_without_frames_ends_the_exploration_and_is_no_finding() -> None:
    world = World(x86_64(), WorldSpec(cpus=1))
    with pytest.raises(Exhausted, match="used up"):
        world.scheduler.run([Actor(0, "", lambda: world.machine.alloc_pages_run(1000, 0, 0), 0)], Replay([]))


def test_the_sysctl_the_key_and_allocations_from_one_list_are_in_the_footprint() -> None:
    world = World(x86_64(), WorldSpec(cpus=1, options=WorldOptions(ordered=True)))
    machine = world.machine

    def body() -> None:
        machine.change_key(1)
        assert machine.key_enabled()
        machine.alloc_pages(0, 0)
        assert machine.optimize_enabled
        machine.optimize_enabled = False

    world.scheduler.run([Actor(0, "", body, 0)], Replay([]))
    tokens = [event.footprint for event in world.scheduler.order.events]
    assert any(("key",) in each.adds for each in tokens)
    assert any(("key",) in each.reads for each in tokens)
    assert any({("allocator",), ("sysctl",)} <= each.writes and ("sysctl",) in each.reads for each in tokens)
    world.checkpoint.restore()
    assert (machine.key, machine.optimize_enabled) == (0, True)
