# SPDX-License-Identifier: GPL-2.0-only
"""Depth-first search of all schedules with at most so many preemptions; without a bound, of all."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab_explorer.search.decisions import keep_on
from hvolab_explorer.steps.actor import Actor, Pruned
from hvolab_explorer.steps.happens_before import Clock, Event
from hvolab_explorer.steps.scheduler import Scheduler


@dataclass
class _Decision:
    """One decision: what was chosen, and what is left to try."""

    choice: int
    left: list[int]


class Bounded:
    """Search with a bound on preemptions: switches from an actor that could go on.

    bound       the most preemptions; None: any number
    exhaustive  no schedule was left out because of the bound
    cache       end a schedule whose steps so far have the same order as those of an earlier one
    """

    def __init__(self, bound: int | None, *, cache: bool = True) -> None:
        self.bound = bound
        self.exhaustive = True
        self._cache: dict[tuple[int, int], int] | None = {} if cache else None
        self._decisions: list[_Decision] = []
        self.begin()

    def begin(self) -> None:
        """Begin a schedule."""
        self._depth = self._preemptions = 0

    def choose(self, scheduler: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the actor of the schedule under way, or go on without a preemption."""
        preempts = last is not None and last in ready
        if self._depth == len(self._decisions):
            self._look_up(scheduler.order.key, last.index if preempts and last is not None else -1)
            first = keep_on(ready, last)
            allowed = self.bound is None or not preempts or self._preemptions < self.bound
            self.exhaustive &= allowed or len(ready) == 1
            self._decisions.append(
                _Decision(first.index, [actor.index for actor in ready if actor is not first] if allowed else [])
            )
        choice = self._decisions[self._depth].choice
        self._depth += 1
        chosen = next(actor for actor in ready if actor.index == choice)
        self._preemptions += preempts and chosen is not last
        return chosen

    def _look_up(self, order: int, last: int) -> None:
        """End the schedule if its steps so far were seen with at least as many preemptions left."""
        if self._cache is None:
            return
        left = 0 if self.bound is None else self.bound - self._preemptions
        if self._cache.get((order, last), -1) >= left:
            raise Pruned
        self._cache[order, last] = left

    def alternative(self, count: int) -> int:
        """Return the alternative of the schedule under way, at first 0."""
        if self._depth == len(self._decisions):
            self._decisions.append(_Decision(0, list(range(1, count))))
        self._depth += 1
        return self._decisions[self._depth - 1].choice

    def stepped(self, event: Event, races: list[Event]) -> None:
        """Record nothing."""

    def blocked(self, actor: int, clock: Clock, races: list[Event]) -> None:
        """Record nothing."""

    def advance(self) -> bool:
        """Go on with the deepest decision that has something left to try."""
        del self._decisions[self._depth :]
        while self._decisions:
            decision = self._decisions[-1]
            if decision.left:
                decision.choice = decision.left.pop(0)
                return True
            self._decisions.pop()
        return False
