# SPDX-License-Identifier: GPL-2.0-only
"""Schedules as strings."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.schedule import Replay, Segment, read_schedule, segments_of, write_schedule
from hvolab_explorer.steps.actor import Step
from tests.plugins.hvolab_explorer.worlds import program

LOG = (Step(0, "a"), Step(0, "b"), Step(0, "fails", 1), Step(0, "c"), Step(1, "d"), Step(1, "fails", 0), Step(0, "e"))


def test_a_log_is_written_and_read_back() -> None:
    text = write_schedule("configuration", LOG)
    assert text.endswith(": 0*2=1 0*1 1*1 0*1")
    assert read_schedule(text, "configuration") == segments_of(LOG)


@pytest.mark.parametrize("text", ["", "0*1", "12345678:", "12345678: 0*x", "12345678: 0*1 1"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a schedule"):
        read_schedule(text, "configuration")


def test_the_schedule_of_another_configuration_is_refused() -> None:
    with pytest.raises(UsageError, match="another configuration"):
        read_schedule(write_schedule("one", LOG), "two")


def test_a_schedule_repeats_every_step_and_says_where_it_does_not_fit() -> None:
    made = program("optimize A, optimize B")
    explore(made, Replay([Segment(0, 9), Segment(1, 12), Segment(0, 3)]), Limits(schedules=1))
    log = tuple(made.scheduler.log)
    again = Replay(segments_of(log))
    explore(made, again, Limits(schedules=1))
    assert tuple(made.scheduler.log) == log
    assert again.exact
    wrong = Replay([Segment(0, 1000), Segment(1, 1)])
    explore(made, wrong, Limits(schedules=1))
    assert not wrong.exact


def test_a_schedule_repeats_the_allocation_that_fails() -> None:
    made = program("restore A", failures=1)
    segments = [Segment(0, 9, 1)]
    explore(made, Replay(segments), Limits(schedules=1))
    log = tuple(made.scheduler.log)
    assert [step.choice for step in log].count(1) == 1
    again = Replay(segments_of(log))
    explore(made, again, Limits(schedules=1))
    assert (again.exact, tuple(made.scheduler.log)) == (True, log)
