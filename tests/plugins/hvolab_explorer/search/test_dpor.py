# SPDX-License-Identifier: GPL-2.0-only
"""The default search; test_searches_agree.py compares it with the others."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.dpor import Dpor
from tests.plugins.hvolab_explorer.worlds import program


class Recording(Dpor):
    """The default search, which records every step of every schedule."""

    @property
    def same(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("actors", "failures"),
    [
        pytest.param("optimize A, optimize B", 0, marks=pytest.mark.slow),
        ("optimize A, scanner A.64", 0),
        ("allocate A, taker-6.11 A.64", 0),
        pytest.param("shrink A B", 1, marks=pytest.mark.slow),
    ],
)
def test_steps_that_are_repeated_without_being_recorded_change_nothing(actors: str, failures: int) -> None:
    limits = Limits(first_finding=False)
    made = program(actors, split=False, failures=failures)
    found, expected = (explore(made, search, limits) for search in (Dpor(), Recording()))
    assert found.complete
    assert (found.schedules, found.classes, found.pruned) == (expected.schedules, expected.classes, expected.pruned)
    assert list(map(astuple, found.findings.values())) == list(map(astuple, expected.findings.values()))


@pytest.mark.slow
def test_it_runs_each_class_once_where_the_others_repeat_it() -> None:
    made, limits = program("optimize A, scanner A.64"), Limits(first_finding=False)
    best, repeating = explore(made, Dpor(), limits), explore(made, Dpor(sleep=False), limits)
    cached = explore(made, Bounded(None), limits)
    assert best.classes == repeating.classes == cached.classes
    assert best.schedules - best.pruned == len(best.classes)
    assert best.schedules < cached.schedules


@pytest.mark.slow
def test_a_failing_allocation_is_explored_with_every_order() -> None:
    made, limits = program("optimize A, restore B", failures=1), Limits(first_finding=False)
    assert explore(made, Dpor(), limits).classes == explore(made, Dpor(sleep=False), limits).classes
