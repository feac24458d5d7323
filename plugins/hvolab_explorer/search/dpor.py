# SPDX-License-Identifier: GPL-2.0-only
"""Dynamic partial-order reduction with source sets and sleep sets: each class of schedules, about once each.

Abdulla, Aronis, Jonsson, Sagonas: Optimal Dynamic Partial Order Reduction, POPL 2014. Two schedules are of one class if
they order all steps that conflict alike; every state that one of them reaches at its end, the other reaches too.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

from hvolab_explorer.search.decisions import keep_on
from hvolab_explorer.steps.actor import Actor, Pruned
from hvolab_explorer.steps.footprint import Footprint
from hvolab_explorer.steps.happens_before import Clock, Event
from hvolab_explorer.steps.scheduler import Scheduler

_DECISION = attrgetter("decision")
#: No footprints; not changed.
_NONE: dict[int, Footprint] = {}


class _Node:
    """One decision: among actors, or among the alternatives within the step before it.

    ready         actors that could go on
    choice        the actor, or the alternative
    footprint     that of the step that was chosen, with the alternatives that were tried
    wanted        actors to try here
    sleeping      footprints of steps whose schedules were explored elsewhere, by actor; not changed
    tried         footprints of the steps that were tried here before, by actor
    alternatives  those left; None: a decision among actors
    """

    __slots__ = ("alternatives", "choice", "footprint", "ready", "sleeping", "tried", "wanted")

    def __init__(
        self,
        ready: tuple[int, ...],
        choice: int,
        sleeping: dict[int, Footprint],
        alternatives: list[int] | None = None,
    ) -> None:
        self.ready, self.choice, self.sleeping, self.alternatives = ready, choice, sleeping, alternatives
        self.footprint: Footprint | None = None
        self.wanted = {choice}
        self.tried: dict[int, Footprint] = _NONE


#: Arguments of a node.
_Plain = tuple[tuple[int, ...], int, dict[int, Footprint]]


class Dpor:
    """Search with source sets; with ``sleep=False`` without sleep sets, which repeats classes."""

    exhaustive = True

    def __init__(self, *, sleep: bool = True) -> None:
        self._sleep = sleep
        #: A decision that was not looked at again is a tuple of the arguments of its node.
        self._nodes: list[_Node | _Plain] = []
        #: Numbers of the decisions that may have something left to try.
        self._open: set[int] = set()
        #: Actors that could go on at the last decision, and their numbers.
        self._ready: list[Actor] = []
        self._indices: tuple[int, ...] = ()
        self.begin()

    @property
    def same(self) -> int:
        """Decisions of the next schedule that are those of the one before: all but the last."""
        return max(len(self._nodes) - 1, 0)

    def begin(self) -> None:
        """Begin a schedule."""
        self._depth = 0
        self._sleeping = self._asleep = _NONE
        self._events: list[Event] = []

    def resume(self, events: list[Event], decision: int) -> None:
        """Go on after steps that were repeated."""
        self._events, self._depth = events, decision

    def choose(self, _: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the actor of the schedule under way, or begin a new part with one that does not sleep."""
        depth, self._depth = self._depth, self._depth + 1
        if depth < len(self._nodes):
            node = self._node(depth)
            self._asleep = node.sleeping | node.tried
            return next(actor for actor in ready if actor.index == node.choice)
        sleeping = self._sleeping
        awake = [actor for actor in ready if actor.index not in sleeping] if sleeping else ready
        if not awake:
            self._depth = depth
            raise Pruned
        first = keep_on(awake, last)
        if ready != self._ready:
            self._ready, self._indices = ready, tuple([actor.index for actor in ready])
        self._nodes.append((self._indices, first.index, sleeping))
        self._asleep = sleeping
        return first

    def _node(self, depth: int) -> _Node:
        """Return the node of a decision, which is made where the decision is first looked at again: few are."""
        node = self._nodes[depth]
        if isinstance(node, tuple):
            node = self._nodes[depth] = _Node(*node)
        return node

    def alternative(self, count: int) -> int:
        """Return the alternative of the schedule under way, at first 0."""
        if self._depth == len(self._nodes):
            self._nodes.append(_Node((), 0, _NONE, list(range(1, count))))
            self._open.add(self._depth)
        self._depth += 1
        return self._node(self._depth - 1).choice

    def stepped(self, event: Event, races: list[Event]) -> None:
        """Record a step: reverse its races, and wake the sleepers that conflict with it."""
        self._events.append(event)
        for race in races:
            self._reverse(race, event.actor, event.clock, include_last=True)
        if self._sleep and self._asleep:
            asleep, footprint = self._asleep.items(), event.footprint
            self._sleeping = {
                actor: each for actor, each in asleep if actor != event.actor and not each.conflicts(footprint)
            }
        else:
            self._sleeping = _NONE

    def blocked(self, actor: int, clock: Clock, races: list[Event]) -> None:
        """Reverse the races of a step that was never executed."""
        for race in races:
            self._reverse(race, actor, clock, include_last=False)

    def _reverse(self, race: Event, actor: int, clock: Clock, *, include_last: bool) -> None:
        """Let a step of ``actor`` with that clock come before ``race``: add an actor that can begin such a schedule."""
        node, before, number = self._node(race.decision), race.actor, race.number
        rest = self._events[race.place + 1 :]
        first_events: dict[int, Event] = {}
        for event in rest[:-1] if include_last else rest:
            if event.clock[before] < number and event.actor not in first_events:
                first_events[event.actor] = event
        firsts = {who: event.clock for who, event in first_events.items()}
        firsts.setdefault(actor, clock)
        initials = {
            who
            for who, when in firsts.items()
            if not any(event.before(when) for other, event in first_events.items() if other != who)
        }
        initials &= set(node.ready)
        if not initials:
            node.wanted.update(node.ready)
        elif not initials & node.wanted:
            node.wanted.add(min(initials))
        if len(node.wanted) > 1:
            self._open.add(race.decision)

    def advance(self) -> bool:
        """Go on with the deepest decision that has something left to try."""
        del self._nodes[self._depth :]
        while self._open:
            depth = max(self._open)
            if depth < len(self._nodes) and self._try_another(depth):
                del self._nodes[depth + 1 :]
                return True
            self._open.remove(depth)
        self._nodes.clear()
        return False

    def _try_another(self, depth: int) -> bool:
        """Choose something else at a decision; return False if nothing is left to try."""
        node = self._node(depth)
        if node.alternatives is not None:
            if not node.alternatives:
                return False
            node.choice = node.alternatives.pop(0)
            self._add_footprint(depth)
            return True
        done = node.choice, *node.tried, *node.sleeping
        left = [actor for actor in node.wanted if actor not in done]
        if left:
            self._add_footprint(depth)
            if node.footprint is not None:
                node.tried = node.tried | {node.choice: node.footprint}
            node.choice, node.footprint = min(left), None
        return bool(left)

    def _add_footprint(self, depth: int) -> None:
        """Add the footprint of the last schedule's step at a decision, or with that alternative, to its node.

        A step of the same actor with other alternatives may touch more.
        """
        place = bisect_right(self._events, depth, key=_DECISION) - 1
        if place >= 0:
            event = self._events[place]
            node = self._node(event.decision)
            node.footprint = event.footprint if node.footprint is None else node.footprint | event.footprint
