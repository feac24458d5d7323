# SPDX-License-Identifier: GPL-2.0-only
"""Several searches that take turns: the first finding of any, complete as soon as one of them is."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab_explorer.search.decisions import Search
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.happens_before import Clock, Event
from hvolab_explorer.steps.scheduler import Scheduler


class Portfolio:
    """Search by several others, one schedule of each in turn.

    exhaustive  the search that has ended explored every class
    """

    def __init__(self, searches: Sequence[Search]) -> None:
        self._searches = list(searches)
        self.exhaustive = False

    @property
    def _current(self) -> Search:
        return self._searches[0]

    def begin(self) -> None:
        """Begin a schedule."""
        self._current.begin()

    def choose(self, scheduler: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the choice of the search whose turn it is."""
        return self._current.choose(scheduler, ready, last)

    def alternative(self, count: int) -> int:
        """Return the choice of the search whose turn it is."""
        return self._current.alternative(count)

    def stepped(self, event: Event, races: list[Event]) -> None:
        """Pass the step on."""
        self._current.stepped(event, races)

    def blocked(self, actor: int, clock: Clock, races: list[Event]) -> None:
        """Pass the races on."""
        self._current.blocked(actor, clock, races)

    def advance(self) -> bool:
        """Go on with the next search; return False if this one has explored every class, or none is left."""
        done = self._searches.pop(0)
        if done.advance():
            self._searches.append(done)
        elif done.exhaustive:
            self.exhaustive = True
            return False
        return bool(self._searches)
