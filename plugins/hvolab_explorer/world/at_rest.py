# SPDX-License-Identifier: GPL-2.0-only
"""Findings of a machine at rest, remembered by its state: schedules of many classes end in the same one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import Any

from hvolab.hugetlb import Pool
from hvolab.machine import FrameAllocator, Machine

#: Bytes of remembered states, at most.
_REMEMBERED = 64 << 20
#: Bytes that were stored, owners of frames, and the rest.
_State = tuple[bytes, bytes, Hashable]
_PLAIN = int, str, bytes, tuple, frozenset, type(None)
_COMPARED = *_PLAIN, dict, list, set


class AtRest:
    """Checks a machine that was restored from a checkpoint, and looks the findings up where the state is known.

    The state is everything that invariants read: the bytes that were stored since the machine was restored, the owners
    of frames, the translations that CPUs cache, and the plain fields of the machine and the pools. The order of free
    frames is not part of it.
    check   returns the findings of the machine now
    """

    def __init__(self, machine: Machine, pools: Sequence[Pool], check: Callable[[], list[str]]) -> None:
        self._machine, self._pools, self._check = machine, pools, check
        #: Fields that are not objects whose contents are in memory.
        self._fields = [field.name for field in fields(Machine) if isinstance(vars(machine)[field.name], _COMPARED)]
        self._known: dict[_State, list[str]] = {}
        self._bytes = 0

    def findings(self) -> list[str]:
        """Return the findings of the machine's state."""
        state = self._state()
        if state is None:
            return self._check()
        found = self._known.get(state)
        if found is None:
            size = len(state[0]) + len(state[1])
            if self._bytes + size > _REMEMBERED:
                self._known.clear()
                self._bytes = 0
            self._bytes += size
            found = self._known[state] = self._check()
        return list(found)

    def _state(self) -> _State | None:
        """Return the state; None: a CPU does not report its translations, or the frames not their owners."""
        machine, memory = self._machine, self._machine.memory
        if not isinstance(machine.frames, FrameAllocator):
            return None
        changed = tuple(memory.changed(memory.first_pfn, memory.frames))
        stored = b"".join([memory.words[first:stop].data for first, stop in changed])
        owners, *numbers = machine.frames.owners()
        translations = []
        for cpu in machine.cpus:
            cached = cpu.cached_translations()
            if cached is None:
                return None
            translations.append(cached.tobytes())
        own = vars(machine)
        plain = [_plain(own[name]) for name in self._fields]
        plain += [_plain(value) for part in self._parts() for value in vars(part).values()]
        rest = changed, *numbers, *translations, _plain(vars(machine.counters)), *plain
        return stored, owners.tobytes(), rest

    def _parts(self) -> list[object]:
        return [part for pool in self._pools for part in (pool, pool.h)]


def _plain(value: Any) -> Hashable:
    """Return a value that can be hashed, with the contents of containers; None for other objects, which do not change.

    What changes in those is in the bytes of memory.
    """
    if isinstance(value, dict):
        return tuple(value.items())
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, set):
        return frozenset(value)
    return value if isinstance(value, _PLAIN) else None
