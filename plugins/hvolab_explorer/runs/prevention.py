# SPDX-License-Identifier: GPL-2.0-only
"""Last step of a finding's schedule before which another order of the actors still has no finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from hvolab_explorer.exploration import Found, Limits, Prevention, Program, explore
from hvolab_explorer.schedule import TO_THE_END, Replay, Segment, segments_of
from hvolab_explorer.steps.actor import Actor, Pruned, Step
from hvolab_explorer.steps.scheduler import Scheduler

#: Orders that are tried at most.
MOST_TRIES = 300


def find_prevention(program: Program, found: Found) -> Prevention:
    """Return the last step of a finding's schedule that another order can replace, so that nothing is found.

    Tried are, before each step from the last one on, all orders in which the actors go on, each to its end; one that
    has to wait gives way to the next, and store buffers are written out after each. Allocations that the schedule lets
    fail from there on succeed. Nothing is tried for a schedule that does not end, as each try would take as long.
    """
    alone = _run(program, segments_of(found.log), alone=True)
    if program.scheduler.cut:
        return Prevention(None, (), 0, whole=False)
    # a history of one actor is not found where the schedule does not count as the first
    alone &= not _run(program, segments_of(found.log), alone=False)
    reported = len(program.scheduler.log)
    made, tried = program.actors(), 0
    actors = [actor.index for actor in made if not actor.endless]
    buffers = [Segment(actor.index, TO_THE_END) for actor in made if actor.endless]
    for place in range(min(reported, len(found.log)) - 1, -1, -1):
        for order in _orders(found.log[place], actors):
            if tried == MOST_TRIES:
                return Prevention(None, (), tried, whole=False)
            tried += 1
            ends = [segment for actor in order for segment in (Segment(actor, TO_THE_END), *buffers)]
            if not _run(program, [*segments_of(found.log[:place]), *ends], alone=alone):
                return Prevention(place, order, tried - 1)
    return Prevention(None, (), tried)


def _orders(step: Step, actors: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield orders that are not tried after the step: those that begin with another actor, or with another choice."""
    if step.choice == 0:
        return
    yield from (order for order in permutations(actors) if step.choice or order[0] != step.actor)


def _run(program: Program, segments: list[Segment], *, alone: bool) -> bool:
    """Run a schedule up to its first finding; return whether it has one."""
    search = _ToFirstFinding(segments, alone=alone)
    return bool(explore(program, search, Limits(schedules=2, first_finding=False, refines=False)).findings)


class _ToFirstFinding(Replay):
    """Search of one schedule that ends at the first finding.

    alone  it is the first schedule, in which each actor has its history checked; else it comes after an empty one
    """

    def __init__(self, segments: list[Segment], *, alone: bool) -> None:
        self._empty = not alone
        super().__init__(segments)

    def choose(self, scheduler: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the actor of the segment under way."""
        if self._empty or scheduler.findings:
            raise Pruned
        return super().choose(scheduler, ready, last)

    def advance(self) -> bool:
        """Go on after the empty schedule."""
        again, self._empty = self._empty, False
        return again
