# SPDX-License-Identifier: GPL-2.0-only
"""Random priorities."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.pct import Pct
from tests.plugins.hvolab_explorer.worlds import explored, program

BROKEN = "allocate A, taker-6.11 A.64"


def test_without_changes_each_actor_runs_to_its_end() -> None:
    found = explore(program("optimize A, scanner A.64"), Pct(0), Limits(schedules=10))
    assert len(found.classes) == 2


@pytest.mark.slow
def test_changes_of_priority_find_a_race_by_a_seed_that_decides_everything() -> None:
    first, second = (explore(program(BROKEN, split=False), Pct(2, seed=1), Limits(schedules=400)) for _ in range(2))
    assert any("permission" in text for text in first.findings), first.verdict
    assert (first.schedules, first.classes, list(first.findings)) == (
        second.schedules,
        second.classes,
        list(second.findings),
    )


def test_its_classes_are_known_to_the_complete_search_and_it_is_never_complete() -> None:
    actors = "optimize A, scanner A.64"
    found = explore(program(actors), Pct(3, seed=2), Limits(schedules=30))
    assert found.classes <= explored(actors).classes
    assert found.verdict.startswith("not complete: stopped after 30 schedules")
