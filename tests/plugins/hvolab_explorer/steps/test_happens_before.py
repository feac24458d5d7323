# SPDX-License-Identifier: GPL-2.0-only
"""The order of steps, its races, and classes."""

from __future__ import annotations

import pytest

from hvolab_explorer.steps import happens_before
from hvolab_explorer.steps.footprint import Footprint
from hvolab_explorer.steps.happens_before import HappensBefore

WRITE, OTHER = Footprint.of(writes=["x"]), Footprint.of(writes=["y"])


def key(*steps: tuple[int, Footprint]) -> int:
    order = HappensBefore(2)
    for number, (actor, footprint) in enumerate(steps):
        order.add(actor, number, footprint, 0)
    return order.key


def test_steps_that_commute_are_one_class_in_either_order() -> None:
    assert key((0, WRITE), (1, OTHER)) == key((1, OTHER), (0, WRITE))
    assert key((0, WRITE), (1, WRITE)) != key((1, WRITE), (0, WRITE))


def test_a_race_is_with_the_last_step_that_is_not_ordered_otherwise() -> None:
    order = HappensBefore(3)
    first, _ = order.add(0, 0, WRITE, 0)
    second, races = order.add(1, 1, WRITE, 0)
    assert races == [first]
    _, races = order.add(2, 2, WRITE, 0)
    assert races == [second]  # the first happens before the second
    assert first.before(second.clock)


def test_the_lock_is_a_race_between_acquisitions_although_the_release_lies_between() -> None:
    acquire = Footprint.of(writes=["lock"], awaits=["unlocked"])
    order = HappensBefore(2)
    first, _ = order.add(0, 0, acquire, 0)
    order.add(0, 1, Footprint.of(releases=["unlocked"]), 0)
    event, races = order.add(1, 2, acquire, 0)
    assert races == [first]
    assert event.clock == (2, 1)


def test_what_was_chosen_within_a_step_makes_another_class() -> None:
    one, two = HappensBefore(1), HappensBefore(1)
    one.add(0, 0, WRITE, 1)
    two.add(0, 0, WRITE, 2)
    assert one.key != two.key


def test_a_choice_in_one_step_is_never_the_class_of_that_choice_in_another() -> None:
    keys = set()
    for chosen in range(40):
        order = HappensBefore(2)
        for number in range(40):
            order.add(0, number, OTHER, 1 + (number == chosen))
        keys.add(order.key)
    assert len(keys) == 40


def test_an_order_that_is_kept_up_to_a_decision_is_as_before_the_steps_beyond_it() -> None:
    order, again = HappensBefore(2), HappensBefore(2)
    steps = [(0, 0, WRITE), (1, 1, OTHER), (1, 3, WRITE), (0, 4, WRITE)]  # decision 2 was within the second step
    for actor, decision, footprint in steps:
        order.add(actor, decision, footprint, decision)
    events, decision = order.keep(2)
    assert ([event.decision for event in events], decision) == ([0], 1)
    for actor, number, footprint in steps[1:]:
        order.add(actor, number, footprint, number)
    for actor, number, footprint in steps:
        again.add(actor, number, footprint, number)
    assert order.key == again.key
    assert [event.clock for event in order.events] == [event.clock for event in again.events]


def test_an_order_of_which_nothing_is_kept_is_empty() -> None:
    order = HappensBefore(1)
    assert order.keep(0) == ([], 0)
    order.add(0, 0, WRITE, 0)
    assert order.keep(0) == ([], 0)
    assert order.key == HappensBefore(1).key


def test_an_order_that_forgets_the_footprints_of_removed_steps_goes_on_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order, again = HappensBefore(2), HappensBefore(2)
    steps = [(0, 0, OTHER), (1, 1, WRITE), (0, 2, WRITE), (1, 3, OTHER)]
    for one in order, again:
        for actor, decision, footprint in steps:
            one.add(actor, decision, footprint, 0)
    again.keep(1)
    monkeypatch.setattr(happens_before, "_REMEMBERED", 0)
    order.keep(1)
    monkeypatch.undo()
    ends = [
        [one.add(actor, decision, footprint, 0) for actor, decision, footprint in steps[1:]] for one in (order, again)
    ]
    assert [(event.clock, [race.place for race in races]) for event, races in ends[0]] == [
        (event.clock, [race.place for race in races]) for event, races in ends[1]
    ]
    assert order.key == again.key
