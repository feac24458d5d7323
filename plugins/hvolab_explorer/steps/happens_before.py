# SPDX-License-Identifier: GPL-2.0-only
"""Happens-before order of the steps of one schedule, its races, and the class of schedules that have the same order."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from hvolab_explorer.steps.footprint import RACE, Footprint

_DIGEST_BYTES = 16
_MASK = (1 << 8 * _DIGEST_BYTES) - 1
#: For each actor, how many of its steps come before, itself included.
Clock = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Event:
    """One step that was executed.

    actor      number of its actor
    number     its number among the actor's steps, from 1 on
    place      its number among the steps of the schedule, from 0 on
    decision   number of the decision by which it was chosen
    footprint  what it touched
    clock      steps that happen before it
    """

    actor: int
    number: int
    place: int
    decision: int
    footprint: Footprint
    clock: Clock

    def before(self, clock: Clock) -> bool:
        """Return whether this step happens before one that has that clock."""
        return clock[self.actor] >= self.number


@lru_cache(maxsize=1 << 16)
def _digest(*values: object) -> int:
    """Return a number for a step; sums of such numbers differ, unlike many sums of Python's hashes of tuples."""
    digest = hashlib.blake2b(repr(values).encode(), digest_size=_DIGEST_BYTES)
    return int.from_bytes(digest.digest())


def _with(clock: Clock, actor: int, number: int) -> Clock:
    """Return a clock with another number for one actor."""
    return (*clock[:actor], number, *clock[actor + 1 :])


class HappensBefore:
    """The order of the steps so far.

    events  the steps, as executed
    key     hash of the partial order: equal for schedules of one class
    """

    def __init__(self, actors: int) -> None:
        self.events: list[Event] = []
        self.key = 0
        self._by_actor: list[list[Event]] = [[] for _ in range(actors)]
        self._clocks: list[Clock] = [(0,) * actors for _ in range(actors)]
        self._keys: list[int] = []

    def keep(self, decisions: int) -> tuple[list[Event], int]:
        """Remove the steps with a decision of their own, or within them, beyond the first ``decisions``.

        Returns the steps that are left, and the number of the decision after them.
        """
        after = bisect_right(self.events, decisions, key=lambda event: event.decision)
        kept = max(after - 1, 0)
        decision = self.events[kept].decision if self.events else 0
        for event in reversed(self.events[kept:]):
            own = self._by_actor[event.actor]
            own.pop()
            self._clocks[event.actor] = own[-1].clock if own else (0,) * len(self._clocks)
        if kept < len(self.events):
            self.key = self._keys[kept]
        del self.events[kept:], self._keys[kept:]
        return self.events.copy(), decision

    def add(self, actor: int, decision: int, footprint: Footprint, choices: int) -> tuple[Event, list[Event]]:
        """Add a step; return it and the steps with which it races.

        choices  number that stands for what was chosen within the step
        """
        clock, races = self._order(actor, footprint)
        own = self._by_actor[actor]
        number = len(own) + 1
        clock = _with(clock, actor, number)
        event = Event(actor, number, len(self.events), decision, footprint, clock)
        own.append(event)
        self.events.append(event)
        self._clocks[actor] = clock
        self._keys.append(self.key)
        self.key = (self.key + _digest(actor, number, choices, clock)) & _MASK
        return event, races

    def pending(self, actor: int, footprint: Footprint) -> tuple[Clock, list[Event]]:
        """Return the clock and the races of a step that an actor cannot execute."""
        clock, races = self._order(actor, footprint)
        number = len(self._by_actor[actor]) + 1
        return _with(clock, actor, number), races

    def _order(self, actor: int, footprint: Footprint) -> tuple[Clock, list[Event]]:
        """Return the clock before a step, and the steps that it races with, no other race between them.

        A race is with a step that does not happen before the actor's last one. The step that releases what this one
        has waited for is ordered before it, without a race: the two have no other order.
        """
        before, relations = self._clocks[actor], footprint.relations
        clock = before
        races: list[Event] = []
        for other, events in enumerate(self._by_actor):
            done = before[other]
            if other == actor or done == len(events):
                continue
            joined = False
            for event in reversed(events[done:] if done else events):
                found = relations.get(event.footprint)
                if found is None:
                    found = footprint.relation(event.footprint)
                if not found:
                    continue
                race = found & RACE
                if race or not joined:
                    if not joined:
                        clock = tuple(map(max, clock, event.clock))
                        joined = True
                    if race:
                        races.append(event)
                        break
        if len(races) > 1:
            races = [
                event for event in races if not any(event is not other and event.before(other.clock) for other in races)
            ]
        return clock, races
