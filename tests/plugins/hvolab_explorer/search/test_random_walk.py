# SPDX-License-Identifier: GPL-2.0-only
"""Random schedules."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.random_walk import RandomWalk
from tests.plugins.hvolab_explorer.worlds import explored, program


@pytest.mark.slow
def test_a_seed_decides_the_schedules_and_their_classes_are_known_to_the_complete_search() -> None:
    actors = "optimize A, scanner A.64"
    first, second = (explore(program(actors), RandomWalk(7), Limits(schedules=30)) for _ in range(2))
    assert first.classes == second.classes
    assert first.classes <= explored(actors).classes
