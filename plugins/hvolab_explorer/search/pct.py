# SPDX-License-Identifier: GPL-2.0-only
"""Probabilistic concurrency testing: random priorities, which change at a few random steps.

Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs,
ASPLOS 2010. Each schedule of n actors and k steps finds a bug that needs c + 1 ordered pairs of steps with a
probability of at least 1 / (n * k ** c), with c changes of priority.
"""

from __future__ import annotations

from hvolab_explorer.search.random_walk import RandomWalk
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Scheduler


class Pct(RandomWalk):
    """Endless search by random priorities of a seed.

    changes  changes of priority in a schedule; they are spread over as many steps as the longest schedule so far has
    """

    def __init__(self, changes: int, seed: int = 0) -> None:
        super().__init__(seed)
        self._changes = changes
        self._longest = 1
        self.begin()

    def begin(self) -> None:
        """Begin a schedule with new priorities."""
        self._steps = 0
        self._priorities: dict[int, float] = {}
        self._change_at = [self._random.randrange(self._longest) for _ in range(self._changes)]

    def choose(self, _: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:  # noqa: ARG002 - the interface
        """Return the actor of the highest priority that can go on; at a change, it gets the lowest one first."""
        for actor in ready:
            self._priorities.setdefault(actor.index, self._random.random())
        for _change in range(self._change_at.count(self._steps)):
            self._priorities[self._highest(ready).index] = min(self._priorities.values()) - 1
        self._steps += 1
        self._longest = max(self._longest, self._steps)
        return self._highest(ready)

    def _highest(self, ready: list[Actor]) -> Actor:
        return max(ready, key=lambda actor: self._priorities[actor.index])
