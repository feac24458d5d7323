# SPDX-License-Identifier: GPL-2.0-only
"""The last step of a finding that another order of the actors can replace."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from hvolab_explorer.exploration import Found, Limits, Prevention, explore
from hvolab_explorer.runs import prevention as searched
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.prevention import find_prevention
from hvolab_explorer.schedule import TO_THE_END, Replay, Segment, segments_of
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.world import World, WorldProgram, WorldSpec
from tests.machines import x86_64

RECYCLED = "recycle A.64, taker A.64"


def race(release: str = "6.1", memory: str = "strong") -> tuple[WorldProgram, Found]:
    """Before 6.11 no grace period comes between the test for a fake head and the store of a read-only entry."""
    made = Configuration("", "", parse_actors(RECYCLED)).with_memory(memory).program(x86_64(release=release))
    (found,) = explore(made, Dpor()).findings.values()
    return made, found


def reports(made: WorldProgram, found: Found, place: int, order: tuple[int, ...]) -> bool:
    """Whether a run has a finding where the actors go on in an order, each to its end, from an entry of the log on."""
    segments = [*segments_of(found.log[:place]), *(Segment(actor, TO_THE_END) for actor in order)]
    return bool(explore(made, Replay(segments), Limits(schedules=1, refines=False)).findings)


def single(body: Callable[[World], object]) -> tuple[WorldProgram, Found]:
    """An actor that is alone, and what it is found to do."""
    world = World(x86_64(), WorldSpec(folios=1))
    made = WorldProgram(world, [("actor", lambda world, _: lambda: body(world))])
    (found,) = explore(made, Dpor()).findings.values()
    return made, found


def test_the_step_is_the_store_that_a_grace_period_has_to_come_before() -> None:
    made, found = race()
    known = find_prevention(made, found)
    assert known.step is not None
    assert known.whole
    step = found.log[known.step]
    assert (step.actor, step.text.partition(" PA ")[0], known.instead) == (0, "set entry", (1, 0))
    assert known.locks == (("init_mm.mmap_lock",), ())
    assert not reports(made, found, known.step, known.instead)
    later = [(place, order) for place in range(known.step + 1, len(found.log)) for order in permutations((0, 1))]
    assert all(reports(made, found, *each) for each in later)
    # an order that goes on with the actor of a step is one of those after it
    assert len([order for place, order in later if order[0] != found.log[place].actor]) == known.tried


@pytest.mark.slow
def test_stores_in_buffers_are_written_out_after_each_actor() -> None:
    made, found = race(memory="weak")
    known = find_prevention(made, found)
    assert known.step is not None
    assert sorted(known.instead) == [0, 1, 2]  # the actors of the configuration, a helper among them, no buffer


def test_an_allocation_that_fails_may_be_the_last_step_that_decides() -> None:
    def fails(world: World) -> None:
        world.cpus[0].load_word(world.folios[0])
        if world.scheduler.alternative(2, "the allocation fails"):
            world.scheduler.report("found")
        world.cpus[0].load_word(world.folios[0])

    made, found = single(fails)
    known = find_prevention(made, found)
    assert known.step is not None
    assert (found.log[known.step].text, known.instead, known.tried) == ("the allocation fails", (0,), 0)


def test_what_one_actor_does_wrong_no_order_prevents() -> None:
    made, found = single(lambda world: world.scheduler.report("found"))
    assert find_prevention(made, found) == Prevention(None, (), 0)


def test_a_search_that_reaches_its_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made, found = race()
    monkeypatch.setattr(searched, "MOST_TRIES", 3)
    known = find_prevention(made, found)
    assert known == Prevention(None, (), 3, whole=False, remedies=known.remedies)


@pytest.mark.slow
def test_nothing_is_tried_for_a_schedule_that_does_not_end() -> None:
    def body(world: World) -> None:
        while True:
            world.cpus[0].load_word(world.folios[0])

    made, found = single(body)
    assert found.text.startswith("no end after")
    assert find_prevention(made, found) == Prevention(None, (), 0, whole=False)
