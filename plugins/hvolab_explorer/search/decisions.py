# SPDX-License-Identifier: GPL-2.0-only
"""The interface of a search, and the choice that all of them make where it does not matter."""

from __future__ import annotations

from typing import Protocol

from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Decider


class Search(Decider, Protocol):
    """A decider that knows which schedules are left.

    exhaustive  whether the end of the search means that every class of schedules was explored
    """

    exhaustive: bool

    def advance(self) -> bool:
        """Choose the next schedule; return False if none is left."""
        ...


def keep_on(ready: list[Actor], last: Actor | None) -> Actor:
    """Return the actor that went last if it can go on, else the first that can: a schedule of few switches."""
    return last if last is not None and last in ready else ready[0]
