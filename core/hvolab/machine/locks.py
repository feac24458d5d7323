# SPDX-License-Identifier: GPL-2.0-only
"""Locks and RCU as parts of a machine. They do nothing unless a scheduler is attached.

hvolab executes one operation at a time, so a lock is always free. A scheduler that interleaves operations of several
CPUs attaches itself with :meth:`Locks.attach`; each acquisition and release is then its to grant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Protocol


class LockScheduler(Protocol):
    """Scheduler of operations that take locks. Each call returns when the operation may go on."""

    def acquire(self, lock: Lock, *, shared: bool) -> None:
        """Acquire a lock, once it is free: for one owner, or for any number of readers."""

    def release(self, lock: Lock, *, shared: bool) -> None:
        """Release a lock."""

    def rcu_read_lock(self) -> None:
        """Begin a read-side critical section."""

    def rcu_read_unlock(self) -> None:
        """End the read-side critical section that was begun last."""

    def synchronize_rcu(self) -> None:
        """Wait until every read-side critical section that has begun before has ended."""


class _Side:
    """One side of a lock as a context manager."""

    def __init__(self, lock: Lock, *, shared: bool) -> None:
        self._lock = lock
        self._shared = shared

    def __enter__(self) -> None:
        if (scheduler := self._lock.scheduler) is not None:
            scheduler.acquire(self._lock, shared=self._shared)

    def __exit__(self, *_: object) -> None:
        if (scheduler := self._lock.scheduler) is not None:
            scheduler.release(self._lock, shared=self._shared)


class Lock(_Side):
    """A spin lock, mutex or rw semaphore; ``with lock:`` is its exclusive side, ``with lock.shared:`` the readers'.

    name       name in the kernel
    scheduler  grants acquisitions; None: the lock is always free
    """

    def __init__(self, name: str) -> None:
        super().__init__(self, shared=False)
        self.name = name
        self.scheduler: LockScheduler | None = None
        self.shared = _Side(self, shared=True)


class Locks:
    """The locks of a machine that HVO and its callers take in v6.12.

    page_table_lock   init_mm.page_table_lock, a spin lock
    mmap_lock         init_mm.mmap_lock, a rw semaphore
    hugetlb_lock      a spin lock
    cpu_hotplug_lock  a percpu rw semaphore, whose read side is cpus_read_lock()
    """

    def __init__(self) -> None:
        self._all: dict[str, Lock] = {}
        self._scheduler: LockScheduler | None = None
        self.page_table_lock = self.named("init_mm.page_table_lock")
        self.mmap_lock = self.named("init_mm.mmap_lock")
        self.hugetlb_lock = self.named("hugetlb_lock")
        self.cpu_hotplug_lock = self.named("cpu_hotplug_lock")

    def named(self, name: str) -> Lock:
        """Return the lock of that name, which is made on first use."""
        lock = self._all.get(name)
        if lock is None:
            lock = self._all[name] = Lock(name)
            lock.scheduler = self._scheduler
        return lock

    def attach(self, scheduler: LockScheduler | None) -> None:
        """Let a scheduler grant every acquisition; None: locks are always free again."""
        self._scheduler = scheduler
        for lock in self._all.values():
            lock.scheduler = scheduler

    @contextmanager
    def rcu_read(self) -> Iterator[None]:
        """Enter a read-side critical section. Kernel: rcu_read_lock(), rcu_read_unlock()."""
        if self._scheduler is None:
            yield
            return
        self._scheduler.rcu_read_lock()
        try:
            yield
        finally:
            self._scheduler.rcu_read_unlock()

    def synchronize_rcu(self) -> None:
        """Wait for a grace period."""
        if self._scheduler is not None:
            self._scheduler.synchronize_rcu()


class LockOrder:
    """Graph of the order in which locks were acquired, over any number of runs."""

    def __init__(self) -> None:
        self._before: dict[str, set[str]] = {}
        self._circle: list[str] | None = []

    def acquired(self, name: str, held: Iterable[str]) -> None:
        """Record that a lock was acquired while others were held."""
        before = self._before.setdefault(name, set())
        if not before.issuperset(held):
            before.update(held)
            self._circle = None

    def circle(self) -> list[str]:
        """Return locks of which each was held while the next was acquired, the first repeated at the end.

        Empty if the order has no circle. Kernel: lockdep reports it as a possible circular locking dependency.
        """
        if self._circle is None:
            self._circle = []
            try:
                TopologicalSorter(self._before).prepare()
            except CycleError as error:
                self._circle = error.args[1]
        return self._circle
