# SPDX-License-Identifier: GPL-2.0-only
"""The bounded search."""

from __future__ import annotations

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.bounded import Bounded
from tests.plugins.hvolab_explorer.worlds import program

LIMITS = Limits(first_finding=False)


def test_more_preemptions_reach_more_classes() -> None:
    made = program("optimize A, scanner A.64")
    none, one = explore(made, Bounded(0), LIMITS), explore(made, Bounded(1), LIMITS)
    assert none.classes < one.classes
    assert "bound on preemptions" in none.incomplete


def test_one_actor_needs_no_preemption_to_be_complete() -> None:
    assert explore(program("optimize A"), Bounded(0), LIMITS).complete
