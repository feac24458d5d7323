# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler: actors, and the ends of schedules."""

from __future__ import annotations

import pytest

from hvolab.errors import KernelBug
from hvolab_explorer.steps.scheduler import MOST_STEPS
from tests.plugins.hvolab_explorer.schedules import Body, run, scheduled


def test_actors_go_on_as_the_schedule_says() -> None:
    scheduler, _ = scheduled()
    seen: list[str] = []

    def body(name: str) -> Body:
        def steps() -> None:
            for number in range(2):
                scheduler.point("step")
                seen.append(f"{name}{number}")

        return steps

    run(scheduler, body("a"), body("b"), segments=((0, 2), (1, 3), (0, 1)))
    assert seen == ["a0", "b0", "b1", "a1"]
    assert [step.actor for step in scheduler.log] == [0, 0, 1, 1, 1, 0]


def test_an_actor_that_stops_with_an_error_leaves_its_locks_taken_and_nobody_else_at_fault() -> None:
    scheduler, locks = scheduled()

    def broken() -> None:
        with locks.hugetlb_lock:
            raise KernelBug("BUG")

    def waiter() -> None:
        with locks.hugetlb_lock:
            pass

    assert run(scheduler, broken, waiter) == ["actor 0 stops: KernelBug: BUG"]
    assert [step.text for step in scheduler.log] == ["begins", "lock hugetlb_lock", "begins"]


@pytest.mark.slow
def test_an_actor_without_end_is_cut() -> None:
    scheduler, _ = scheduled()

    def endless() -> None:
        while True:
            scheduler.point("again")

    (found,) = run(scheduler, endless)
    assert f"no end after {MOST_STEPS} steps" in found
    assert scheduler.cut


def test_an_error_that_is_no_finding_is_raised() -> None:
    scheduler, _ = scheduled()

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(scheduler, broken)
