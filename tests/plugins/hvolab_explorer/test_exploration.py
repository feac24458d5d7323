# SPDX-License-Identifier: GPL-2.0-only
"""Explorations: what is complete, and what is not."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.search.random_walk import RandomWalk
from tests.plugins.hvolab_explorer.worlds import explored, program

ACTORS = "optimize A, optimize B"


def test_a_search_that_ends_is_complete() -> None:
    result = explored(ACTORS)
    assert result.complete
    assert result.verdict == f"explored {len(result.classes)} of {len(result.classes)} classes: complete"


@pytest.mark.slow
def test_no_search_that_was_stopped_says_that_it_is_complete() -> None:
    made = program(ACTORS)
    for search, limits in (
        (Dpor(), Limits(schedules=2)),
        (Dpor(), Limits(seconds=-1)),
        (RandomWalk(), Limits(schedules=20)),
        (Bounded(0), Limits()),
    ):
        result = explore(made, search, limits)
        assert not result.complete
        assert "complete" in result.verdict.partition(":")[0]
        assert result.verdict.startswith("not complete")


def test_a_finding_ends_the_exploration_unless_all_are_wanted() -> None:
    made = program("allocate A, taker-6.11 A.64")
    first = explore(made, Dpor())
    every = explore(made, Dpor(), Limits(first_finding=False))
    assert first.findings
    assert first.incomplete == "stopped at the first finding"
    assert every.complete
    assert len(every.classes) > len(first.classes)


def test_a_failing_allocation_is_tried_at_each_of_them() -> None:
    result = explored("restore A", failures=1)
    assert len(result.classes) == 1 + 7  # none, or one of the seven tails
