# SPDX-License-Identifier: GPL-2.0-only
"""Spin locks of a kernel's code, as words that the code itself changes.

To take one is a step that waits until the word says that the lock is free; the code then takes it at once. To release
it is part of the step in which the word is stored to. As with the machine's own locks, a release is ordered before the
acquisition that waits for it without a race: the race is between the two acquisitions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from hvolab.arithmetic import WORD_SHIFT
from hvolab.machine import PhysicalMemory
from hvolab_explorer.steps.footprint import Footprint
from hvolab_explorer.steps.scheduler import Scheduler

#: Kernel: struct qspinlock in include/asm-generic/qspinlock_types.h: locked, and not pending, v6.12.
BYTES: Final = 4
_LOCKED: Final = np.array([1, 0, 0, 0], dtype=np.uint8)


class SpinLocks:
    """The spin locks that CPUs take, by PA.

    memory  returns the memory that holds a PA
    pas     PAs of the locks
    words   words of memory with a lock
    """

    def __init__(self, scheduler: Scheduler, memory: Callable[[int], PhysicalMemory]) -> None:
        self._scheduler = scheduler
        self._memory = memory
        self._names: dict[int, str] = {}
        self.pas = self._names.keys()
        self.words: set[int] = set()
        self._holders: dict[int, int] = {}

    def begin(self) -> None:
        """Begin a schedule, in which no lock is taken."""
        self._holders.clear()

    def holds(self, pa: int) -> bool:
        """Return whether a PA is within a known lock."""
        return pa & -BYTES in self._names

    def wait(self, pa: int, name: str, cpu: int) -> None:
        """Stop until a lock is free; the step that then begins takes it.

        Functions that take a lock may call each other: the inner ones are part of the same step.
        """
        if self._holders.get(pa) == cpu and self._is_free(pa):
            return
        self._names[pa] = name
        self.words.add(pa >> WORD_SHIFT)
        writes, awaits = [("lock", pa)], [("unlocked", pa)]
        self._scheduler.point(f"lock {name}", partial(self._is_free, pa), Footprint.of(writes=writes, awaits=awaits))
        self._scheduler.footprint.writes.update(writes)
        self._scheduler.footprint.awaits.update(awaits)
        self._scheduler.hold(name)
        self._holders[pa] = cpu

    def take(self, pa: int) -> None:
        """Take a free lock, as the slow path of its function does in the end."""
        self._memory(pa).view(pa, BYTES)[:] = _LOCKED

    def _is_free(self, pa: int) -> bool:
        """Return whether both halves are equal: the owner and the next ticket, or 0 of a queued lock."""
        owner, after = self._memory(pa).view(pa, BYTES).view(np.uint16)
        return bool(owner == after)

    def touch(self, pa: int, cpu: int, *, stores: bool) -> bool:
        """Record an access to a lock outside of the functions that take it; return whether it must be a step.

        A store of the CPU that holds it releases it, unless the function that takes it has not changed its word.
        """
        pa &= -BYTES
        footprint = self._scheduler.footprint
        if self._holders.get(pa) != cpu or (stores and self._is_free(pa)):
            (footprint.writes if stores else footprint.reads).add(("lock", pa))
            return True
        if stores:
            footprint.releases.add(("unlocked", pa))
            self._scheduler.drop(self._names[pa])
            del self._holders[pa]
        return False
