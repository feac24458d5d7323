# SPDX-License-Identifier: GPL-2.0-only
"""Search for what prevents a finding in its order of steps: a flush, a grace period or a barrier between two steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from hvolab_explorer.exploration import Found, Limits, Remedy, explore
from hvolab_explorer.schedule import Replay, Segment, segments_of
from hvolab_explorer.steps.actor import Actor, Pruned
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.weak import WeakCpu
from hvolab_explorer.world.world import World, WorldProgram

#: Read-side critical sections of RCU, as `Scheduler.sections`.
Sections = frozenset[tuple[int, int]]
#: Does something before a step; returns the sections that end before any other actor goes on.
Act = Callable[[Scheduler], Sections]
_NO_SECTIONS: Final = Sections()
#: Runs of a schedule at most.
MOST_RUNS = 300
#: Kinds of remedies, in words.
KINDS: Final = {
    "flush": "a TLB flush on all CPUs",
    "grace-period": "a grace period that {cpu} waits for",
    "store-barrier": "smp_wmb() on {cpu}",
    "load-barrier": "smp_rmb() on {cpu}",
}


class ToFirstFinding(Replay):
    """Search of one schedule that ends at the first finding.

    alone   it is the first schedule, in which each actor has its history checked; else it comes after an empty one
    before  number of the log entry before which ``act`` is called; None: of none
    act     called with the scheduler; returns read-side critical sections that end before any other actor goes on
    """

    def __init__(
        self,
        segments: list[Segment],
        *,
        alone: bool,
        before: int | None = None,
        act: Act = lambda _: _NO_SECTIONS,
    ) -> None:
        self._empty = not alone
        self._before, self._act = before, act
        self._waits = _NO_SECTIONS
        super().__init__(segments)

    def choose(self, scheduler: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return the actor of the segment under way."""
        if self._empty or scheduler.findings:
            raise Pruned
        if len(scheduler.log) == self._before:
            self._before, self._waits = None, self._act(scheduler)
        if reading := self._waits & scheduler.sections:
            readers = {actor for actor, _ in reading}
            for actor in ready:
                if actor.index in readers:
                    return actor
        return super().choose(scheduler, ready, last)

    def advance(self) -> bool:
        """Go on after the empty schedule."""
        again, self._empty = self._empty, False
        return again


def findings_of(program: WorldProgram, search: ToFirstFinding) -> Collection[str]:
    """Run a schedule up to its first finding; return what is found, which may be several at its end."""
    return explore(program, search, Limits(schedules=2, first_finding=False, refines=False)).findings


def find_remedies(program: WorldProgram, found: Found, *, alone: bool) -> tuple[Remedy, ...] | None:
    """Return what prevents a finding if it comes between two steps; None: none is known, and not all were tried.

    For each kind and CPU it is the last such place. The order of the steps is that of the schedule, but that at a grace
    period the sections that have begun come to their ends. Before the first step of its actor nothing is tried.

    alone  the finding is one of a schedule that is the first
    """
    segments, steps = segments_of(found.log), [place for place, step in enumerate(found.log) if step.choice is None]
    actors = [actor for actor in program.actors() if not actor.endless]
    remedies: list[Remedy] = []
    runs = 0
    for kind, actor, act in _acts(program.world, actors):
        own = [place for place in steps if actor is None or found.log[place].actor == actor]
        last = first = None
        for position in range(len(own) - 1, 0, -1):
            if runs == MOST_RUNS:
                return tuple(remedies) or None
            runs += 1
            if not findings_of(program, ToFirstFinding(segments, alone=alone, before=own[position], act=act)):
                last, first = position if last is None else last, position
            elif last is not None:
                break
        if last is not None and first is not None:
            remedies.append(Remedy(kind, actor, own[first - 1] if first > 1 else None, own[last]))
    return tuple(remedies)


def _acts(world: World, actors: Sequence[Actor]) -> Iterator[tuple[str, int | None, Act]]:
    """Yield each kind of remedy, the actor whose CPU it is on, and the function that does it."""

    def flush(_: Scheduler) -> Sections:
        for cpu in world.cpus:
            cpu.flush_all()
        return _NO_SECTIONS

    yield "flush", None, flush
    for actor in actors:
        cpu = world.cpus[actor.cpu]

        def wait(scheduler: Scheduler, index: int = actor.index) -> Sections:
            own = any(section[0] == index for section in scheduler.sections)
            return _NO_SECTIONS if own else frozenset(scheduler.sections)

        yield "grace-period", actor.index, wait
        if isinstance(cpu, WeakCpu):

            def order_stores(_: Scheduler, cpu: WeakCpu = cpu) -> Sections:
                cpu.begin_epoch()
                return _NO_SECTIONS

            def order_loads(_: Scheduler, cpu: WeakCpu = cpu) -> Sections:
                cpu.acquire()
                return _NO_SECTIONS

            yield "store-barrier", actor.index, order_stores
            yield "load-barrier", actor.index, order_loads
