# SPDX-License-Identifier: GPL-2.0-only
"""Exploration: schedules of one program, run until a search has none left or a limit is reached."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hvolab_explorer.search.decisions import Search
from hvolab_explorer.steps.actor import Actor, Exhausted, Pruned, Step
from hvolab_explorer.steps.scheduler import Scheduler


class Program(Protocol):
    """Actors on a machine, to be run from the same state any number of times."""

    scheduler: Scheduler

    def restore(self) -> None:
        """Return the machine to its first state."""

    def actors(self) -> list[Actor]:
        """Return the actors, about to begin."""

    def check(self) -> list[str]:
        """Return what is wrong at the end of a schedule."""

    def refine(self) -> bool:
        """Divide the actors into smaller steps, if the schedules so far show that they must be; return whether so."""


@dataclass(frozen=True)
class Remedy:
    """Something with which a schedule has no finding, if it comes between two of its steps.

    what    a kind of `hvolab_explorer.runs.remedies.KINDS`
    actor   number of the actor on whose CPU it is; None: on all of them
    after   number of the entry in the log that it must come after; None: it may come at any time before
    before  number of the entry that it must come before
    """

    what: str
    actor: int | None
    after: int | None
    before: int


@dataclass(frozen=True)
class Prevention:
    """Ways to prevent a finding: another order from a step of its schedule on, or something between two of its steps.

    step     number in the log of the last step before which another order still has no finding; None: of those that
             were tried, each has one
    instead  numbers of the actors in the order in which they go on, each to its end, without a finding
    tried    number of orders that were tried after the step, each of which has a finding
    whole    all orders that are to be tried were; False: their number reached its limit
    remedies what prevents the finding in the order of its schedule; None: nothing was tried, or not before every step
    locks    names of the locks that each actor holds before the step; empty: no step is named
    """

    step: int | None
    instead: tuple[int, ...]
    tried: int
    whole: bool = True
    remedies: tuple[Remedy, ...] | None = None
    locks: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Found:
    """One finding.

    text        what is wrong
    schedule    number of the schedule that found it, from 1 on
    log         its steps
    prevention  the last step that another order could replace; None: not looked for
    """

    text: str
    schedule: int
    log: tuple[Step, ...]
    prevention: Prevention | None = None


@dataclass(frozen=True)
class Limits:
    """When to stop.

    schedules       after so many
    seconds         after so long, measured by ``clock``
    first_finding   at the first schedule with a finding
    refines         the search begins again when the steps become smaller; False: they do not become smaller
    """

    schedules: int = 1 << 40
    seconds: float = 60.0
    first_finding: bool = True
    refines: bool = True
    clock: Callable[[], float] = field(default=time.monotonic, compare=False)


@dataclass
class Result:
    """Result of an exploration.

    schedules   schedules run
    pruned      those of them that were ended early, as their rest was known
    classes     keys of the classes of the schedules that ran to their end
    findings    by text, each with the first schedule that found it
    incomplete  why it is not complete; empty: every class was explored
    refined     how often the search began again with smaller steps
    """

    schedules: int = 0
    pruned: int = 0
    classes: set[int] = field(default_factory=set)
    findings: dict[str, Found] = field(default_factory=dict)
    incomplete: str = ""
    steps: int = 0
    seconds: float = 0.0
    refined: int = 0

    @property
    def complete(self) -> bool:
        """True if every class was explored."""
        return not self.incomplete

    @property
    def verdict(self) -> str:
        """The result in words, without its assumptions."""
        number = len(self.classes)
        if self.complete:
            return f"explored {number} of {number} classes: complete"
        return f"not complete: {self.incomplete}, {number} classes explored"


def explore(program: Program, search: Search, limits: Limits | None = None) -> Result:
    """Run schedules until ``search`` has none left or a limit is reached.

    Where a schedule shows that the steps must be smaller, the search begins again; what it found before does not count.
    """
    limits, result = limits or Limits(), Result()
    start = limits.clock()
    program.scheduler.begin()
    endless, unused = 0, copy.deepcopy(search)
    while True:
        result.schedules += 1
        try:
            found, whole, unended = _run(program, search, result)
        except Exhausted as end:
            result.incomplete = str(end)
            break
        refined = limits.refines and program.refine()
        if refined:
            search, endless, found = copy.deepcopy(unused), 0, []
            _begin_again(program, result)
        else:
            endless += unended
            result.pruned += not whole
        for text in found:
            if text not in result.findings:
                result.findings[text] = Found(text, result.schedules, tuple(program.scheduler.log))
        result.seconds = limits.clock() - start
        if found and limits.first_finding:
            result.incomplete = "stopped at the first finding"
            break
        if not refined and not search.advance():
            if endless:
                result.incomplete = f"{endless} schedules were cut at their limit of steps"
            elif not search.exhaustive:
                result.incomplete = "the bound on preemptions left schedules out"
            break
        if result.schedules >= limits.schedules:
            result.incomplete = f"stopped after {result.schedules} schedules"
            break
        if result.seconds > limits.seconds:
            result.incomplete = f"stopped after {limits.seconds:g} s"
            break
    return result


def _begin_again(program: Program, result: Result) -> None:
    """Discard what was found with larger steps: their schedules are no schedules of the smaller ones."""
    result.refined, result.pruned = result.refined + 1, 0
    result.classes.clear()
    result.findings.clear()
    program.scheduler.begin()


def _run(program: Program, search: Search, result: Result) -> tuple[list[str], bool, bool]:
    """Run one schedule; return its findings, whether it ran to its end, and whether its steps were cut."""
    scheduler = program.scheduler
    program.restore()
    search.begin()
    try:
        found = list(scheduler.run(program.actors(), search))
        whole = True
    except Pruned:
        found, whole = list(scheduler.findings), False
    result.steps = max(result.steps, scheduler.steps)
    if whole and scheduler.order.key not in result.classes:
        result.classes.add(scheduler.order.key)
        found += [text for text in program.check() if text not in found]
        if circle := scheduler.lock_order.circle():
            found.append(f"locks are acquired in a circle: {', '.join(sorted(set(circle)))}")
    return found, whole, scheduler.cut
