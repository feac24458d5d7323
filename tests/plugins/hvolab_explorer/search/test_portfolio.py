# SPDX-License-Identifier: GPL-2.0-only
"""Searches that take turns."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.search.portfolio import Portfolio
from hvolab_explorer.search.random_walk import RandomWalk
from tests.plugins.hvolab_explorer.worlds import program

ACTORS = "optimize A, optimize B"
EVERYTHING = Limits(first_finding=False)


def test_it_is_complete_as_soon_as_one_of_its_searches_is() -> None:
    alone = explore(program(ACTORS), Dpor(), EVERYTHING)
    found = explore(program(ACTORS), Portfolio([RandomWalk(), Dpor()]), EVERYTHING)
    assert found.complete
    assert found.classes == alone.classes
    assert found.schedules == 2 * alone.schedules


@pytest.mark.slow
def test_a_search_that_leaves_schedules_out_makes_nothing_complete() -> None:
    found = explore(program(ACTORS), Portfolio([Bounded(0), Bounded(1)]), EVERYTHING)
    assert not found.complete
    assert found.classes == explore(program(ACTORS), Bounded(1), EVERYTHING).classes
