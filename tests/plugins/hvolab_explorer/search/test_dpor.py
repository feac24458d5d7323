# SPDX-License-Identifier: GPL-2.0-only
"""The default search; test_searches_agree.py compares it with the others."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.dpor import Dpor
from tests.plugins.hvolab_explorer.worlds import program


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
