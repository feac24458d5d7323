# SPDX-License-Identifier: GPL-2.0-only
"""Invariants that are histories, held against each actor by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hvolab.invariants import INVARIANTS, Finding, Monitor
from hvolab.release.faults import FORGOTTEN
from hvolab.trace import Event, Warned
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.machine import ExploredMachine


def is_reported(finding: Finding) -> bool:
    """Return whether neither the description nor a known fault of the release explains a finding.

    Every error is recorded with its page here, so that FORGOTTEN explains none.
    """
    return not finding.declared and finding.fault in {"", FORGOTTEN}


#: Rules that stores of other CPUs to a folio under change would break, and stores that wait in a buffer; they hold
#: where one actor runs alone, with strong memory.
_ALONE = frozenset({"content"})
_SHARED = tuple(one for one in INVARIANTS if one.name not in _ALONE)


class Histories:
    """Listener that gives the events of each actor to a monitor of its own, and reports what the monitors find.

    A history follows the operations of one CPU: what another CPU does meanwhile is not in it. So it listens to all
    schedules of a single actor, and to the first schedule of several, in which one runs after the other.
    """

    def __init__(self, machine: ExploredMachine, scheduler: Scheduler, pending: Callable[[int], bool]) -> None:
        """Listen to a machine; ``pending`` returns whether stores of the CPU of that number are not in memory yet."""
        self._pending = pending
        self._machine = machine
        self._scheduler = scheduler
        self._monitors: dict[int, Monitor] = {}
        self._actors = 0

    def begin(self, actors: int) -> None:
        """Begin a schedule of so many actors."""
        self._monitors.clear()
        self._actors = actors
        listeners = self._machine.trace.listeners
        if self in listeners:
            listeners.remove(self)
        if actors == 1 or not self._scheduler.schedules:
            listeners.append(self)

    def __call__(self, event: Event) -> None:
        """Handle one event of the actor under way."""
        actor = self._scheduler.current
        if actor is None or not self._scheduler.active:
            return
        monitor = self._monitors.get(actor.index)
        if monitor is None:
            monitor = self._monitors[actor.index] = self._monitor()
        try:
            monitor(event)
        finally:
            for finding in monitor.findings:
                if is_reported(finding):
                    self._scheduler.report(f"{actor.name}: {replace(finding, since=None)}")
            monitor.findings.clear()
        if isinstance(event, Warned) and not self._pending(actor.cpu):  # it is about memory, without these stores
            self._scheduler.report(f"{actor.name} warns: {event.text}")

    def _monitor(self) -> Monitor:
        return Monitor(self._machine, INVARIANTS if self._actors == 1 and not self._machine.options.weak else _SHARED)
