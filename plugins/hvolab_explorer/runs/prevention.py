# SPDX-License-Identifier: GPL-2.0-only
"""Last step of a finding's schedule before which another order of the actors still has no finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from hvolab_explorer.exploration import Found, Prevention
from hvolab_explorer.runs.remedies import Sections, ToFirstFinding, find_remedies, findings_of
from hvolab_explorer.schedule import TO_THE_END, Segment, segments_of
from hvolab_explorer.steps.actor import Step
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.world import WorldProgram

#: Orders that are tried at most.
MOST_TRIES = 300


def find_prevention(program: WorldProgram, found: Found) -> Prevention:
    """Return the last step of a finding's schedule that another order can replace, so that nothing is found.

    Tried are, before each step from the last one on, all orders in which the actors go on, each to its end; one that
    has to wait gives way to the next, and store buffers are written out after each. Allocations that the schedule lets
    fail from there on succeed. Nothing is tried for a schedule that does not end, as each try would take as long.
    """
    segments = segments_of(found.log)
    first = findings_of(program, ToFirstFinding(segments, alone=True))
    if program.scheduler.cut:
        return Prevention(None, (), 0, whole=False)
    reported = len(program.scheduler.log)
    # a history of one actor is not found where the schedule does not count as the first
    second = findings_of(program, ToFirstFinding(segments, alone=False))
    alone = found.text not in second and (found.text in first or not second)
    if not alone:
        reported = len(program.scheduler.log)
    made, tried = program.actors(), 0
    actors = [actor.index for actor in made if not actor.endless]
    buffers = [Segment(actor.index, TO_THE_END) for actor in made if actor.endless]
    found = replace(found, log=found.log[:reported])
    remedies = find_remedies(program, found, alone=alone) if len(actors) > 1 else None
    for place in range(len(found.log) - 1, -1, -1):
        for order in _orders(found.log[place], actors):
            if tried == MOST_TRIES:
                return Prevention(None, (), tried, whole=False, remedies=remedies)
            tried += 1
            ends = [segment for actor in order for segment in (Segment(actor, TO_THE_END), *buffers)]
            if not findings_of(program, ToFirstFinding([*segments_of(found.log[:place]), *ends], alone=alone)):
                return Prevention(place, order, tried - 1, True, remedies, _locks(program, found, place, actors))
    return Prevention(None, (), tried, remedies=remedies)


def _locks(program: WorldProgram, found: Found, place: int, actors: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """Return the locks that each actor holds before an entry of the log."""
    held: list[tuple[str, ...]] = []

    def look(scheduler: Scheduler) -> Sections:
        held.extend(map(scheduler.held, actors))
        return Sections()

    findings_of(program, ToFirstFinding(segments_of(found.log), alone=False, before=place, act=look))
    return tuple(held)


def _orders(step: Step, actors: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield orders that are not tried after the step: those that begin with another actor, or with another choice."""
    if step.choice == 0:
        return
    yield from (order for order in permutations(actors) if step.choice or order[0] != step.actor)
