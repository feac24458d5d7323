# SPDX-License-Identifier: GPL-2.0-only
"""Locks and grace periods for which actors wait."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.schedules import Body, run, scheduled


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
