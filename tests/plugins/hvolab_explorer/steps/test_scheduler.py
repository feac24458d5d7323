# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler: actors, locks, grace periods, and the ends of schedules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hvolab.errors import KernelBug
from hvolab.machine.locks import Locks
from hvolab_explorer.schedule import Replay, Segment
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import MOST_STEPS, Scheduler

Body = Callable[[], object]


def scheduled() -> tuple[Scheduler, Locks]:
    scheduler, locks = Scheduler(), Locks()
    locks.attach(scheduler)
    return scheduler, locks


def run(scheduler: Scheduler, *bodies: Body, segments: tuple[tuple[int, int], ...] = ()) -> list[str]:
    actors = [Actor(number, f"actor {number}", body, number) for number, body in enumerate(bodies)]
    replay = Replay([Segment(*segment) for segment in segments])
    return scheduler.run(actors, replay)


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


def test_a_lock_is_granted_once_it_is_free_and_two_readers_share_it() -> None:
    scheduler, locks = scheduled()
    seen: list[str] = []

    def body(name: str, *, shared: bool) -> Body:
        def steps() -> None:
            with locks.mmap_lock.shared if shared else locks.mmap_lock:
                seen.append(f"{name} in")
                scheduler.point("inside")
                seen.append(f"{name} out")

        return steps

    switches = ((0, 2), (1, 2), (0, 9), (1, 9))
    assert run(scheduler, body("a", shared=False), body("b", shared=False), segments=switches) == []
    assert seen == ["a in", "a out", "b in", "b out"]
    seen.clear()
    run(scheduler, body("a", shared=True), body("b", shared=True), segments=switches)
    assert seen == ["a in", "b in", "a out", "b out"]


def test_a_deadlock_names_who_waits_for_what_and_the_order_of_locks_has_a_circle() -> None:
    scheduler, locks = scheduled()

    def body(first: str, second: str) -> Body:
        def steps() -> None:
            with locks.named(first), locks.named(second):
                pass

        return steps

    found = run(scheduler, body("A", "B"), body("B", "A"), segments=((0, 2), (1, 2)))
    assert found == ["deadlock: actor 0 waits in lock B; actor 1 waits in lock A"]
    run(scheduler, body("A", "B"), body("B", "A"))
    assert set(scheduler.lock_order.circle()) == {"A", "B"}


def test_a_grace_period_ends_after_the_sections_that_were_there_when_it_began() -> None:
    scheduler, locks = scheduled()
    seen: list[str] = []

    def reader() -> None:
        with locks.rcu_read():
            scheduler.point("inside")
            seen.append("read")
        seen.append("left")

    def waiter() -> None:
        locks.synchronize_rcu()
        seen.append("waited")

    run(scheduler, reader, waiter, segments=((0, 2), (1, 3), (0, 9)))
    assert seen == ["read", "left", "waited"]


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
