# SPDX-License-Identifier: GPL-2.0-only
"""Schedules of actors without a machine."""

from __future__ import annotations

from collections.abc import Callable

from hvolab.machine.locks import Locks
from hvolab_explorer.schedule import Replay, Segment
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Scheduler

Body = Callable[[], object]


def scheduled() -> tuple[Scheduler, Locks]:
    """A scheduler, and locks that it grants."""
    scheduler, locks = Scheduler(), Locks()
    locks.attach(scheduler)
    return scheduler, locks


def run(scheduler: Scheduler, *bodies: Body, segments: tuple[tuple[int, int], ...] = ()) -> list[str]:
    """Run one schedule of actors; return what was found."""
    actors = [Actor(number, f"actor {number}", body, number) for number, body in enumerate(bodies)]
    replay = Replay([Segment(*segment) for segment in segments])
    return scheduler.run(actors, replay)
