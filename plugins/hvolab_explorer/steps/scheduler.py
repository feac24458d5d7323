# SPDX-License-Identifier: GPL-2.0-only
"""Scheduler of actors: each is a greenlet, which stops before each of its steps until it is chosen.

A step is what an actor does from one stop to its next; the first stop is before everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from greenlet import GreenletExit, getcurrent, greenlet

from hvolab.arch import PageFault
from hvolab.errors import HvolabError, PluginError
from hvolab.machine.locks import LockOrder
from hvolab_explorer.steps.actor import Actor, Exhausted, Step
from hvolab_explorer.steps.footprint import Footprint
from hvolab_explorer.steps.happens_before import Event, HappensBefore
from hvolab_explorer.steps.locking import LockSteps

#: Steps of one schedule at most.
MOST_STEPS = 20_000
_MULTIPLIER, _MASK = 31, (1 << 64) - 1
_new = tuple.__new__


class Decider(Protocol):
    """Decides who goes on: a search, or a schedule that is repeated."""

    def begin(self) -> None:
        """Begin a schedule."""

    def choose(self, scheduler: Scheduler, ready: list[Actor], last: Actor | None) -> Actor:
        """Return one of the actors that can go on; raises Pruned if the rest need not be explored."""

    def alternative(self, count: int) -> int:
        """Return one of ``count`` alternatives within a step."""

    def stepped(self, event: Event, races: list[Event]) -> None:
        """Record the step that was chosen last."""

    def blocked(self, actor: int, clock: tuple[int, ...], races: list[Event]) -> None:
        """Record the races of a step that its actor waits for when the schedule ends."""


@runtime_checkable
class Repeating(Decider, Protocol):
    """A decider that decides a part of a schedule as in the one before, so that its steps need not be recorded again.

    same  number of decisions that are the same, from the first on
    """

    same: int

    def resume(self, events: list[Event], decision: int) -> None:
        """Go on with decision number ``decision``, after steps that were repeated."""


class Scheduler(LockSteps):
    """Runs actors, one schedule at a time, and grants the machine's locks.

    order       happens-before order of the schedule
    schedules   number of schedules of one exploration so far
    log         its steps
    findings    what was found in it
    cut         whether it was ended for its number of steps
    completing  called at the end of each step, while its footprint can still grow
    repeating   the step under way is one of the schedule before, so that its footprint is known
    in_one_step  everything is a part of the step under way
    """

    def __init__(self) -> None:
        super().__init__()
        self.completing: list[Callable[[], None]] = []
        self.log: list[Step] = []
        self.findings: list[str] = []
        self.order = HappensBefore(0)
        self.steps = self.schedules = 0
        self.cut = self.repeating = self.in_one_step = False
        self._decider: Decider | None = None
        #: The decider, if it is one of schedules that are repeated in part.
        self._repeating: Repeating | None = None
        self._script: list[Event] = []
        self._repeated: list[Step] = []
        self._found_at: list[int] = []
        self._deciding = False
        self._hub: greenlet | None = None
        self._actors: list[Actor] = []
        self._live: list[Actor] = []
        self._last: Actor | None = None
        self._chosen: Actor | None = None
        self._error: BaseException | None = None
        self._choices = 0
        self._decision = 0

    # what actors do

    def point(self, text: str, enabled: Callable[[], bool] | None = None, waits_for: Footprint | None = None) -> None:
        """Stop before a step until it is chosen.

        enabled    whether it can be executed; None: always
        waits_for  its footprint where it may never be executed
        """
        actor = self.current
        if actor is None or self._aborting or self._hub is None or self.in_one_step:
            return
        actor.text, actor.enabled, actor.waits_for = text, enabled, waits_for
        if self._script:
            if self._script[-1].actor == actor.index:
                self._end_again()
                self._begin_again()
                return
        elif self._deciding:
            try:
                if self._next() is actor:
                    return
            except BaseException as error:  # noqa: BLE001 - it ends the schedule, not the actor
                self._error = error
        self._hub.switch()

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """Let everything within belong to the step under way; it must take no lock and wait for nothing."""
        self.in_one_step = True
        try:
            yield
        finally:
            self.in_one_step = False

    def alternative(self, count: int, text: str) -> int:
        """Choose one of ``count`` alternatives that do not depend on order, as an allocation that may fail.

        A single alternative needs no decision, and has the class of the first of several.
        """
        if not self.active or self.current is None:
            return 0
        chosen = 0
        if count > 1 and self.repeating:
            chosen = self._repeated[len(self.log)].choice or 0
            self.log.append(self._repeated[len(self.log)])
        elif count > 1 and self._decider is not None:
            chosen = self._decider.alternative(count)
            self.log.append(Step(self.current.index, text, chosen))
        self._choices = (self._choices * _MULTIPLIER + chosen + 1) & _MASK
        return chosen

    def describe(self, text: str) -> None:
        """Describe the step that is about to end by more than was known before it."""
        if not self.repeating:
            self.log[self._decision] = self.log[self._decision]._replace(text=text)

    def report(self, text: str) -> None:
        """Report a finding of the schedule under way."""
        if text not in self.findings:
            self.findings.append(text)
            self._found_at.append(self.steps)

    # schedules

    def begin(self) -> None:
        """Begin an exploration."""
        self.lock_order = LockOrder()
        self.schedules = 0

    def run(self, actors: list[Actor], decider: Decider) -> list[str]:
        """Run the actors as ``decider`` decides; return what was found. Raises Pruned as it does."""
        events = self._begin(len(actors), decider)
        self._free_locks()
        greenlets = [greenlet(self._body) for _ in actors]
        try:
            for actor, each in zip(actors, greenlets, strict=True):
                self.current = actor
                each.switch(actor)  # up to its first stop
            last = self._repeat(events, actors, greenlets)
            self._loop(actors, greenlets, last)
        finally:
            self._aborting = True
            for actor, each in zip(actors, greenlets, strict=True):
                self.current = actor
                if each:
                    each.throw(GreenletExit)
            self.current = None
        return self.findings

    def _begin(self, actors: int, decider: Decider) -> list[Event]:
        """Begin a schedule; return the steps of the one before that it repeats."""
        if decider is not self._decider:
            self._decider, self._repeating, same = decider, decider if isinstance(decider, Repeating) else None, 0
        else:
            same = 0 if self._repeating is None else self._repeating.same
        self._hub = getcurrent()
        self._aborting = self.cut = self._deciding = False
        self._chosen = self._error = None
        self.schedules += 1
        if not same:
            self.order = HappensBefore(actors)
        events, decision = self.order.keep(same)
        if events and self._repeating is not None:
            self._repeating.resume(events, decision)
        kept = [found for found in zip(self.findings, self._found_at, strict=True) if found[1] < len(events)]
        self.findings, self._found_at = [text for text, _ in kept], [step for _, step in kept]
        self.log, self._repeated = [], self.log[:decision]
        self.steps = 0
        return events

    def _repeat(self, events: list[Event], actors: list[Actor], greenlets: list[greenlet]) -> Actor | None:
        """Run steps of the schedule before once more, without recording them; return the last actor."""
        self._script, self.repeating = events[::-1], bool(events)
        while self._script:
            self.current = actors[self._script[-1].actor]
            self._begin_again()
            greenlets[self.current.index].switch()
            self._end_again()
        self.repeating = False
        return actors[events[-1].actor] if events else None

    def _begin_again(self) -> None:
        event = self._script.pop()
        self._decision = event.decision
        self.log.append(self._repeated[event.decision])
        self.footprint.touches.clear()

    def _end_again(self) -> None:
        for complete in self.completing:
            complete()
        self.steps += 1

    def _loop(self, actors: list[Actor], greenlets: list[greenlet], last: Actor | None) -> None:
        """Run steps that are new. An actor that is not at its end decides itself who goes on, as it mostly does."""
        self._actors, self._last = actors, last
        self._live = [actor for actor in actors if not actor.done]
        chosen = self._choose()
        self._deciding = True
        while chosen is not None:
            greenlets[chosen.index].switch()
            if self._error is not None:
                raise self._error
            chosen = self._next() if chosen.done else self._chosen
        self.current = None

    def _next(self) -> Actor | None:
        """End the step under way, and choose the actor of the next one; None: the schedule ends."""
        actor, decider = self.current, self._decider
        assert actor is not None and decider is not None  # noqa: S101, PT018 - a step is under way
        for complete in self.completing:
            complete()
        self.steps += 1
        event, races = self.order.add(actor.index, self._decision, self.footprint.build(), self._choices)
        decider.stepped(event, races)
        if actor.done:
            self._live = [other for other in self._live if other is not actor]
        self._chosen = self._choose()
        return self._chosen

    def _choose(self) -> Actor | None:
        """Choose the actor of the next step, and begin it; None: no actor can go on, or all have ended."""
        self.current, decider = None, self._decider
        assert decider is not None  # noqa: S101 - run() has set it
        live = self._live
        ready = live
        for actor in live:
            if actor.enabled is not None:
                ready = [actor for actor in live if actor.enabled is None or actor.enabled()]
                break
        if not ready or self.steps >= MOST_STEPS:
            if ready or not all(actor.endless for actor in live):
                died = any(actor.failed for actor in self._actors)
                self._end(live, decider, blocked=not ready, died=died)
            return None
        self.current = self._last = actor = decider.choose(self, ready, self._last)
        self._decision = len(self.log)
        self.log.append(_new(Step, (actor.index, actor.text, None)))
        self.footprint.touches.clear()
        self._choices = 0
        return actor

    def _end(self, live: list[Actor], decider: Decider, *, blocked: bool, died: bool) -> None:
        """Report why a schedule ends with actors that have not ended."""
        waiting = "; ".join(f"{actor.name} waits in {actor.text}" for actor in live)
        if not blocked:
            self.cut = True
            self.report(f"no end after {MOST_STEPS} steps: {waiting}")
            return
        if not died:  # whoever waits for one that died has no fault of its own
            self.report(f"deadlock: {waiting}")
        for actor in live:
            if actor.waits_for is not None:
                clock, races = self.order.pending(actor.index, actor.waits_for)
                decider.blocked(actor.index, clock, races)

    def _body(self, actor: Actor) -> None:
        try:
            if not actor.endless:
                self.point("begins")  # nothing is done outside of a step
            actor.body()
        except (GreenletExit, Exhausted) as end:
            if isinstance(end, Exhausted):
                raise  # out of the whole exploration
            return
        except PluginError:
            raise  # no finding
        except PageFault as fault:
            self._died(actor, f"{actor.name} faults: {fault.fault}")
        except HvolabError as error:
            self._died(actor, f"{actor.name} stops: {type(error).__name__}: {error}")
        actor.done = True

    def _died(self, actor: Actor, text: str) -> None:
        """Report the end of an actor by an error; the locks that it holds stay taken."""
        actor.failed = True
        self.report(text)
