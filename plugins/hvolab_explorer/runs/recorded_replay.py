# SPDX-License-Identifier: GPL-2.0-only
"""Replay of a schedule with a recorder: each step of an actor, what it does to the machine, and the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Self

from hvolab.invariants import Finding, Invariant
from hvolab.scenario import Recorder
from hvolab_explorer.schedule import Replay, Segment
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.world import World

#: Rule of findings that a schedule reports in words: faults, deadlocks, oracles, and invariants with their number.
_REPORTED: Final = Invariant(0, "schedule")


class RecordedReplay(Replay):
    """Search of one schedule that records it: a stage before each step, a finding after the step that reports it.

    actors  name of the actor on each CPU
    notes   notes of steps, by the number of a step's entry in the log
    """

    def __init__(
        self,
        segments: list[Segment],
        world: World,
        actors: Sequence[str],
        recorder: Recorder,
        notes: Mapping[int, str],
    ) -> None:
        super().__init__(segments)
        self._world = world
        self._actors = actors
        self._recorder = recorder
        self._notes = notes
        self._cpu = 0
        self._watched = False
        self._reported = 0

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself: an exploration copies its search to begin again, which a replay does not."""
        return self

    def choose(self, scheduler: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the actor of the segment under way, and record the step that it is about to do."""
        if not self._watched:
            self._watched = True
            self._recorder.watch(self._world.machine, actors=self._actors, running_cpu=lambda: self._cpu)
        self._report(scheduler.findings)
        actor = super().choose(scheduler, ready, last)
        self._cpu = actor.cpu
        self._recorder.mark(f"CPU{actor.cpu} {actor.name}: {actor.text}", note=self._notes.get(len(scheduler.log), ""))
        return actor

    def end(self, findings: Sequence[str]) -> None:
        """Record what was found after the last step, and at rest."""
        known = self._world.scheduler.findings
        self._report(known)
        for text in findings:
            if text not in known:
                self._recorder.mark(f"at rest: {text}", [Finding(_REPORTED, text)])

    def _report(self, findings: Sequence[str]) -> None:
        for text in findings[self._reported :]:
            self._recorder.mark(text, [Finding(_REPORTED, text)])
        self._reported = len(findings)
