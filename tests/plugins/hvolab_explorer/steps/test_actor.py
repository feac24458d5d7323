# SPDX-License-Identifier: GPL-2.0-only
"""Actors and entries of a log as values."""

from __future__ import annotations

import json

from hvolab_explorer.steps.actor import Actor, Step


def test_two_actors_with_the_same_program_are_different() -> None:
    first, second = (Actor(0, "reader", list, 0) for _ in range(2))
    assert first != second
    assert len({first, second}) == 2


def test_a_step_is_equal_to_what_a_file_has_of_it() -> None:
    step = Step(1, "load A.64")
    assert step.choice is None
    assert Step(*json.loads(json.dumps(step))) == step
