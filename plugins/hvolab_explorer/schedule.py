# SPDX-License-Identifier: GPL-2.0-only
"""Schedules as strings that can be mailed: ``hash: 0*14 1*7=1 0*26``.

Each part is an actor and a number of its steps; ``=1`` is the alternative that was chosen in the last of these, as an
allocation that fails. The hash is that of the configuration. Where code runs, the instructions before which it stops
follow: ``hash: 0*14 1*7 at vmemmap_remap_pte+0x19``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hvolab.errors import UsageError
from hvolab_explorer.search.decisions import keep_on
from hvolab_explorer.steps.actor import Actor, Step
from hvolab_explorer.steps.happens_before import Clock, Event
from hvolab_explorer.steps.scheduler import Scheduler

_PART = re.compile(r"(\d+)\*(\d+)(?:=(\d+))?")
_HASH_DIGITS = 8
_POINTS = " at "
#: Steps that are more than any actor has.
TO_THE_END = 1 << 20


@dataclass(frozen=True)
class Segment:
    """Steps of one actor in a row; ``choice`` is the alternative that was chosen in the last of them."""

    actor: int
    steps: int
    choice: int = 0

    def __str__(self) -> str:
        return f"{self.actor}*{self.steps}" + (f"={self.choice}" if self.choice else "")


def segments_of(log: Iterable[Step]) -> list[Segment]:
    """Return the segments of a log."""
    found: list[Segment] = []
    for step in log:
        last = found[-1] if found else None
        if step.choice is not None:
            if step.choice and last is not None:
                found[-1] = Segment(last.actor, last.steps, step.choice)
        elif last is not None and last.actor == step.actor and not last.choice:
            found[-1] = Segment(last.actor, last.steps + 1)
        else:
            found.append(Segment(step.actor, 1))
    return found


def hash_of(configuration: str) -> str:
    """Return the hash of a configuration."""
    return hashlib.sha256(configuration.encode()).hexdigest()[:_HASH_DIGITS]


def write_schedule(configuration: str, log: Iterable[Step], points: Sequence[str] = ()) -> str:
    """Return the schedule of a log as a string, with the instructions before which code stops."""
    stops = f"{_POINTS}{' '.join(points)}" if points else ""
    return f"{hash_of(configuration)}: {' '.join(map(str, segments_of(log)))}{stops}"


def points_of(schedule: str) -> list[str]:
    """Return the instructions that a schedule string names."""
    return schedule.partition(_POINTS)[2].split()


def read_schedule(text: str, configuration: str) -> list[Segment]:
    """Return the segments of a schedule string.

    Raises UsageError for another form, and for the schedule of another configuration.
    """
    digest, separator, rest = text.partition(_POINTS)[0].partition(":")
    parts = [_PART.fullmatch(part) for part in rest.split()]
    if not separator or not parts or None in parts:
        raise UsageError(f"{text!r} is not a schedule", hint="copy it whole, as in 0123abcd: 0*14 1*7 0*26")
    if digest.strip() != hash_of(configuration):
        raise UsageError(
            f"the schedule is of another configuration: {digest.strip()}",
            where=f"this one is {hash_of(configuration)}: {configuration}",
            hint="give the same options and the same version of hvolab as the run that printed it",
        )
    return [Segment(*(int(group or 0) for group in part.groups())) for part in parts if part is not None]


class Replay:
    """Search of one schedule.

    An actor that cannot go on gives way to the next segment; after the last one, actors go on in order.
    exact  every segment was executed with its number of steps
    """

    exhaustive = False

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self.begin()

    def begin(self) -> None:
        """Begin the schedule."""
        self._place, self._left = 0, self._segments[0].steps if self._segments else 0
        self._choice = 0
        self.exact = True

    def choose(self, _: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the actor of the segment under way."""
        by_index = {actor.index: actor for actor in ready}
        while self._place < len(self._segments):
            segment = self._segments[self._place]
            if self._left and segment.actor in by_index:
                self._left -= 1
                self._choice = 0 if self._left else segment.choice
                return by_index[segment.actor]
            self.exact &= not self._left
            self._place += 1
            if self._place < len(self._segments):
                self._left = self._segments[self._place].steps
        self._choice = 0
        return keep_on(ready, last)

    def alternative(self, count: int) -> int:
        """Return the alternative of the segment that ends with this step, else 0."""
        return min(self._choice, count - 1)

    def stepped(self, event: Event, races: list[Event]) -> None:
        """Record nothing."""

    def blocked(self, actor: int, clock: Clock, races: list[Event]) -> None:
        """Record nothing."""

    def advance(self) -> bool:
        """Return False: there is one schedule."""
        return False
