# SPDX-License-Identifier: GPL-2.0-only
"""Locks of a machine: free without a scheduler, granted by one, and in an order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.locks import Lock, LockOrder, Locks
from tests.machines import MIB, x86_64


class Granting:
    """Scheduler that grants everything, and records it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def acquire(self, lock: Lock, *, shared: bool) -> None:
        self.calls.append(f"{'read ' * shared}lock {lock.name}")

    def release(self, lock: Lock, *, shared: bool) -> None:
        self.calls.append(f"{'read ' * shared}unlock {lock.name}")

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name)


def test_without_a_scheduler_a_lock_is_free_as_often_as_it_is_taken() -> None:
    locks = Locks()
    order: list[str] = []
    with locks.hugetlb_lock, locks.hugetlb_lock, locks.mmap_lock.shared, locks.rcu_read():
        locks.synchronize_rcu()
        order.append("inside")
    assert order == ["inside"]


def test_a_scheduler_sees_each_side_of_each_lock_and_those_made_later() -> None:
    locks, scheduler = Locks(), Granting()
    locks.attach(scheduler)
    with locks.named("resize_lock"), locks.mmap_lock.shared, locks.rcu_read():
        locks.synchronize_rcu()
    assert scheduler.calls == [
        "lock resize_lock",
        "read lock init_mm.mmap_lock",
        "rcu_read_lock",
        "synchronize_rcu",
        "rcu_read_unlock",
        "read unlock init_mm.mmap_lock",
        "unlock resize_lock",
    ]
    locks.attach(None)
    with locks.hugetlb_lock:
        assert len(scheduler.calls) == 7


def test_the_engine_takes_the_locks_of_the_kernel_and_leaves_none_taken() -> None:
    machine, scheduler = build_machine(x86_64(), MachineSpec(memory=128 * MIB)), Granting()
    pool = Pool(machine, hstates(machine)[0], Hvo(machine))
    machine.locks.attach(scheduler)
    pool.set_max_huge_pages(2)
    calls = scheduler.calls
    first = calls.index("lock init_mm.page_table_lock")
    assert calls[first - 1] == "read lock init_mm.mmap_lock"
    assert calls.index("synchronize_rcu") > first
    assert "read lock cpu_hotplug_lock" in calls
    pool.set_max_huge_pages(0)
    taken = Counter(call for call in calls if call.startswith(("lock", "read lock")))
    assert taken == Counter(call.replace("unlock", "lock") for call in calls if "unlock" in call and "rcu" not in call)
    assert {"lock hugetlb_lock", "lock resize_lock of order 9"} <= taken.keys()


def test_a_circle_of_locks_is_found_over_several_runs() -> None:
    order = LockOrder()
    order.acquired("B", held=["A"])
    order.acquired("C", held=["A", "B"])
    assert order.circle() == []
    order.acquired("A", held=["C"])
    circle = order.circle()
    assert circle[0] == circle[-1]
    assert {"A", "C"} <= set(circle)


@pytest.mark.parametrize("side", ["exclusive", "shared"])
def test_a_lock_is_released_where_its_block_raises(side: str) -> None:
    locks, scheduler = Locks(), Granting()
    locks.attach(scheduler)
    lock = locks.mmap_lock if side == "exclusive" else locks.mmap_lock.shared
    with pytest.raises(RuntimeError), lock:
        raise RuntimeError
    assert len(scheduler.calls) == 2
