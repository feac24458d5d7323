# SPDX-License-Identifier: GPL-2.0-only
"""Happens-before order of the steps of one schedule, its races, and the class of schedules that have the same order."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from functools import lru_cache, reduce
from operator import itemgetter, or_
from typing import NamedTuple

from hvolab_explorer.steps.conflicts import Conflicts, Known
from hvolab_explorer.steps.footprint import Footprint

_DIGEST_BYTES = 16
_new = tuple.__new__
#: Footprints whose conflicts are remembered, at most, unless steps of one schedule have more.
_REMEMBERED = 1 << 12
_NO_RACES: list[Event] = []
_MASK = (1 << 8 * _DIGEST_BYTES) - 1
#: For each actor, how many of its steps come before, itself included.
Clock = tuple[int, ...]


class Event(NamedTuple):
    """One step that was executed.

    actor      number of its actor
    number     its number among the actor's steps, from 1 on
    place      its number among the steps of the schedule, from 0 on
    decision   number of the decision by which it was chosen
    footprint  what it touched
    clock      steps that happen before it
    bit        bit of its footprint in sets of footprints
    """

    actor: int
    number: int
    place: int
    decision: int
    footprint: Footprint
    clock: Clock
    bit: int

    def before(self, clock: Clock) -> bool:
        """Return whether this step happens before one that has that clock."""
        return clock[self.actor] >= self.number


_PLACE, _DECISION, _BIT = (itemgetter(Event._fields.index(name)) for name in ("place", "decision", "bit"))


@lru_cache(maxsize=1 << 16)
def _digest(*values: object) -> int:
    """Return a number for a step; sums of such numbers differ, unlike many sums of Python's hashes of tuples."""
    digest = hashlib.blake2b(repr(values).encode(), digest_size=_DIGEST_BYTES)
    return int.from_bytes(digest.digest())


class HappensBefore:
    """The order of the steps so far.

    events  the steps, as executed
    """

    def __init__(self, actors: int) -> None:
        self.events: list[Event] = []
        self._sum = 0
        self._first: Clock = (0,) * actors
        self._by_actor: list[list[Event]] = [[] for _ in range(actors)]
        self._clocks: list[Clock] = [self._first] * actors
        self._sums: list[int] = []
        #: For each actor, the footprints of each other one's steps that do not happen before its last step.
        self._apart = [[0] * actors for _ in range(actors)]
        self._apart_of_others = [[apart for apart in self._apart if apart is not own] for own in self._apart]
        self._conflicts = Conflicts()

    def keep(self, decisions: int) -> tuple[list[Event], int]:
        """Remove the steps with a decision of their own, or within them, beyond the first ``decisions``.

        Returns the steps that are left, and the number of the decision after them.
        """
        after = bisect_right(self.events, decisions, key=_DECISION)
        kept = max(after - 1, 0)
        decision = self.events[kept].decision if self.events else 0
        for actor, own in enumerate(self._by_actor):
            del own[bisect_left(own, kept, key=_PLACE) :]
            self._clocks[actor] = own[-1].clock if own else self._first
        if kept < len(self.events):
            self._sum = self._sums[kept]
        del self.events[kept:], self._sums[kept:]
        if len(self._conflicts.footprints) > _REMEMBERED:
            self._forget()
        for actor in range(len(self._by_actor)):
            self._look(actor)
        return self.events.copy(), decision

    def _forget(self) -> None:
        """Forget the footprints that are of no step."""
        self._conflicts, events = Conflicts(), self.events.copy()
        for own in self._by_actor:
            for number, event in enumerate(own):
                bit = self._conflicts.of(event.footprint).bit
                own[number] = events[event.place] = event._replace(bit=bit)
        self.events = events

    def _look(self, actor: int) -> None:
        """Find the footprints of the steps that do not happen before an actor's last one."""
        clock = self._clocks[actor]
        self._apart[actor][:] = [
            0 if other == actor else reduce(or_, map(_BIT, events[clock[other] :]), 0)
            for other, events in enumerate(self._by_actor)
        ]

    def add(self, actor: int, decision: int, footprint: Footprint, choices: int) -> tuple[Event, list[Event]]:
        """Add a step; return it and the steps with which it races.

        choices  number that stands for what was chosen within the step
        """
        known = self._conflicts.of(footprint)
        before, races, joined = self._clocks[actor], _NO_RACES, False
        for apart in self._apart[actor]:
            if apart and apart & self._conflicts.related(known):
                clock, races = self._order(actor, known)
                before, joined = clock, clock is not before
                break
        own, events, bit = self._by_actor[actor], self.events, known.bit
        self._sums.append(self._sum)
        number = len(own) + 1
        if choices or joined:
            self._sum = (self._sum + _digest(actor, number, choices, before)) & _MASK
        clock = (*before[:actor], number, *before[actor + 1 :])
        event = _new(Event, (actor, number, len(events), decision, footprint, clock, bit))
        own.append(event)
        events.append(event)
        self._clocks[actor] = clock
        for others in self._apart_of_others[actor]:
            others[actor] |= bit
        if joined:
            self._look(actor)
        return event, races

    @property
    def key(self) -> int:
        """Hash of the partial order: equal for schedules of one class.

        It is made of the steps that are ordered after other actors' and of the number of each actor's steps: these
        leave no choice in the order of the others.
        """
        return (self._sum + _digest(*map(len, self._by_actor))) & _MASK

    def pending(self, actor: int, footprint: Footprint) -> tuple[Clock, list[Event]]:
        """Return the clock and the races of a step that an actor cannot execute."""
        known = self._conflicts.of(footprint)
        self._conflicts.related(known)
        before, races = self._order(actor, known)
        return (*before[:actor], len(self._by_actor[actor]) + 1, *before[actor + 1 :]), races

    def _order(self, actor: int, known: Known) -> tuple[Clock, list[Event]]:
        """Return the clock before a step, and the steps that it races with.

        A race is with a step that does not happen before the actor's last one, no other race between them. The step
        that releases what this one has waited for is ordered before it, without a race: the two have no other order.
        """
        clock = before = self._clocks[actor]
        races: list[Event] = []
        for other, apart in enumerate(self._apart[actor]):
            if near := apart & known.near:
                known.compare(self._conflicts.footprints, near)
            if not apart & known.ordered:
                continue
            ordered, racing, joined = known.ordered, known.racing, False
            for event in reversed(self._by_actor[other][before[other] :]):
                if not event.bit & ordered:
                    continue
                race = event.bit & racing
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
