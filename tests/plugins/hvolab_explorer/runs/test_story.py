# SPDX-License-Identifier: GPL-2.0-only
"""Stories of schedules."""

from __future__ import annotations

from hvolab.cli.output import as_text
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.story import story
from hvolab_explorer.steps.actor import Step


def test_each_actor_has_a_lane_and_the_middle_of_a_long_run_is_one_line() -> None:
    log = [Step(0, f"step {number}") for number in range(9)]
    log += [Step(1, "allocate"), Step(1, "an allocation succeeds", 0), Step(1, "an allocation fails", 1)]
    text = as_text(story(Configuration("", "", parse_actors("optimize A, restore B")), log)).splitlines()
    assert text[0].split() == ["CPU0:", "optimize", "A", "CPU1:", "restore", "B"]
    shown = [line.strip() for line in text[2:]]
    tail = [f"step {number}" for number in range(5, 9)]
    assert shown == ["step 0", "... 4 more steps ...", *tail, "allocate", "an allocation fails"]
