# SPDX-License-Identifier: GPL-2.0-only
"""Locks and RCU of a machine whose actors wait for them: each acquisition and release is a step."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache

from hvolab.machine.locks import Lock, LockOrder
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.footprint import Footprint, FootprintBuilder


def _unwinding() -> bool:
    """Return whether an error ends the actor: a CPU that oopses releases nothing."""
    return sys.exc_info()[0] is not None


@cache
def _acquisition(name: str, shared: bool, *, again: bool) -> Footprint:  # noqa: FBT001 - looked up for each lock
    """Return the footprint of acquiring a lock; ``again``: by a reader that holds it."""
    token = [] if again else [("lock", name)]
    awaits = [("unlocked", name)] if shared else [("unlocked", name), ("read_unlocked", name)]
    return Footprint.of(reads=token, awaits=awaits) if shared else Footprint.of(writes=token, awaits=awaits)


class LockSteps(ABC):
    """Grants the machine's locks to actors.

    footprint   tokens of the step under way
    current     actor under way
    sections    read-side critical sections of RCU that have begun: the actor and a number
    lock_order  order of acquisitions over the schedules of one exploration
    """

    def __init__(self) -> None:
        self.footprint = FootprintBuilder()
        self.current: Actor | None = None
        self.lock_order = LockOrder()
        self._aborting = False
        self._free_locks()

    def _free_locks(self) -> None:
        """Free every lock: a schedule begins."""
        self._owners: dict[str, int] = {}
        self._readers: dict[str, int] = {}
        self._held: dict[int, list[str]] = {}
        self.sections: set[tuple[int, int]] = set()
        self._begun: dict[int, list[tuple[int, int]]] = {}
        self._number = 0

    @abstractmethod
    def point(self, text: str, enabled: Callable[[], bool] | None = None, waits_for: Footprint | None = None) -> None:
        """Stop before a step, as :meth:`hvolab_explorer.steps.scheduler.Scheduler.point`."""

    @property
    def active(self) -> bool:
        """True while an actor is under way: building and checking a machine are not steps."""
        return self.current is not None and not self._aborting

    def acquire(self, lock: Lock, *, shared: bool) -> None:
        """Acquire a lock in one step, which is possible while it is free."""
        name, actor = lock.name, self.current
        if actor is None or self._aborting:
            return
        held = self._held.setdefault(actor.index, [])
        # no writer can come between a reader's first acquisition and its others: only the first is ordered with writers
        footprint = _acquisition(name, shared, again=shared and name in held)
        readers = self._readers

        def free() -> bool:
            return name not in self._owners and (shared or not readers.get(name))

        self.point(f"{'read_' * shared}lock {name}", free, footprint)
        if self._aborting:
            return
        self.footprint.reads.update(footprint.reads)
        self.footprint.writes.update(footprint.writes)
        self.footprint.awaits.update(footprint.awaits)
        if shared:
            readers[name] = readers.get(name, 0) + 1
        else:
            self._owners[name] = actor.index
        self.lock_order.acquired(name, held)
        held.append(name)

    def release(self, lock: Lock, *, shared: bool) -> None:
        """Release a lock in one step."""
        name, actor = lock.name, self.current
        if actor is None or self._aborting or _unwinding():
            return
        self.point(f"{'read_' * shared}unlock {name}")
        if self._aborting:
            return
        self.footprint.releases.add(("read_unlocked" if shared else "unlocked", name))
        if shared:
            self._readers[name] -= 1
        else:
            del self._owners[name]
        self._held[actor.index].remove(name)

    def held(self, actor: int) -> tuple[str, ...]:
        """Return the names of the locks that an actor holds, in the order in which it has acquired them."""
        return tuple(self._held.get(actor, ()))

    def hold(self, name: str) -> None:
        """Record that the actor under way has acquired a lock that it waits for by itself."""
        if self.current is not None and not self._aborting:
            held = self._held.setdefault(self.current.index, [])
            self.lock_order.acquired(name, held)
            held.append(name)

    def drop(self, name: str) -> None:
        """Record that the actor under way has released such a lock."""
        if self.current is not None and not self._aborting:
            self._held[self.current.index].remove(name)

    def rcu_read_lock(self) -> None:
        """Begin a read-side critical section."""
        actor = self.current
        if actor is None or self._aborting:
            return
        self.point("rcu_read_lock")
        self._number += 1
        begun = self._begun.setdefault(actor.index, [])
        section = (actor.index, self._number)
        begun.append(section)
        self.sections.add(section)
        self.footprint.reads.add(("rcu",))

    def rcu_read_unlock(self) -> None:
        """End the section that was begun last."""
        actor = self.current
        if actor is None or self._aborting or _unwinding():
            return
        self.point("rcu_read_unlock")
        if self._aborting:
            return
        section = self._begun[actor.index].pop()
        self.sections.discard(section)
        self.footprint.reads.add(("rcu",))
        self.footprint.releases.add(("section", *section))

    def synchronize_rcu(self) -> None:
        """Wait for the sections that have begun: a step that looks at them, and one that follows their ends."""
        if not self.active:
            return
        self.point("synchronize_rcu begins")
        self.footprint.writes.add(("rcu",))
        waits = frozenset(self.sections)
        if waits:
            tokens = [("section", *section) for section in waits]
            self.point("synchronize_rcu ends", lambda: not waits & self.sections, Footprint.of(awaits=tokens))
            self.footprint.awaits.update(tokens)
