# SPDX-License-Identifier: GPL-2.0-only
"""Spin locks as words."""

from __future__ import annotations

import pytest

pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab.machine import PhysicalMemory
from hvolab.machine.locks import LockOrder
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_kernel.interleaving.spin_locks import SpinLocks

PA = 0x104


class Program:
    """Two actors that take a lock, change a counter by a load and a store, and release the lock."""

    def __init__(self, *, tickets: bool = False, broken: bool = False) -> None:
        self.scheduler = Scheduler()
        self.memory = PhysicalMemory(0, 4096, page_shift=12, byte_order="little")
        self.locks = SpinLocks(self.scheduler, lambda _: self.memory)
        self.tickets, self.broken = tickets, broken
        self.counter = 0

    def restore(self) -> None:
        self.memory.view(0, 4096)[:] = 0
        self.counter = 0
        self.locks.begin()

    def refine(self) -> bool:
        return False

    def check(self) -> list[str]:
        return [] if self.counter == 2 else ["an update is lost"]

    def actors(self) -> list[Actor]:
        return [Actor(number, str(number), lambda number=number: self.body(number), number) for number in range(2)]  # type: ignore[misc]

    def body(self, number: int) -> None:
        footprint = self.scheduler.footprint
        self.locks.wait(PA, "the lock", number)
        if not self.broken:
            self.locks.take(PA)
        self.scheduler.point("load")  # a step that takes a lock does nothing else that others see
        seen = self.counter
        footprint.reads.add("counter")
        self.scheduler.point("store")
        self.counter = seen + 1
        footprint.writes.add("counter")
        self.scheduler.point("unlock")
        assert not self.locks.touch(PA, number, stores=True) or self.broken
        self.memory.view(PA, 4)[:] = (1, 0, 1, 0) if self.tickets else 0


@pytest.mark.parametrize("made", [Program(), Program(tickets=True)], ids=["queued", "tickets"])
def test_a_lock_excludes_and_both_orders_are_explored(made: Program) -> None:
    result = explore(made, Dpor(), Limits(first_finding=False))
    assert result.complete
    assert not result.findings
    assert len(result.classes) == 2


def test_a_lock_that_is_not_taken_excludes_nothing() -> None:
    assert "an update is lost" in explore(Program(broken=True), Dpor()).findings


def test_acquisitions_are_in_the_order_of_locks() -> None:
    made = Program()
    explore(made, Dpor(), Limits(schedules=1))
    assert made.scheduler.lock_order.circle() == LockOrder().circle() == []
    assert made.locks.holds(PA)
    assert made.locks.holds(PA + 2)
    assert not made.locks.holds(PA + 4)
