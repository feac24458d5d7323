# SPDX-License-Identifier: GPL-2.0-only
"""Random schedules: a cross-check of the other searches, never complete."""

from __future__ import annotations

import random

from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.happens_before import Clock, Event
from hvolab_explorer.steps.scheduler import Scheduler


class RandomWalk:
    """Endless search by random decisions of a seed."""

    exhaustive = False

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - schedules, not secrets

    def begin(self) -> None:
        """Begin a schedule."""

    def choose(self, _: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:  # noqa: ARG002 - the interface
        """Return any actor that can go on."""
        return self._random.choice(ready)

    def alternative(self, count: int) -> int:
        """Return any alternative."""
        return self._random.randrange(count)

    def stepped(self, event: Event, races: list[Event]) -> None:
        """Record nothing."""

    def blocked(self, actor: int, clock: Clock, races: list[Event]) -> None:
        """Record nothing."""

    def advance(self) -> bool:
        """Return True: there is always another schedule."""
        return True
