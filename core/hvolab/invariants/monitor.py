"""Monitor of the invariants that are histories: a listener that hands every event of a machine to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hvolab.hvo import V6_12, HvoVariant
from hvolab.invariants.invariant import Finding
from hvolab.invariants.registry import INVARIANTS
from hvolab.machine import Machine
from hvolab.trace import Event


class Monitor:
    """Listener that collects what breaks an invariant that is a history.

    variant   variant of HVO whose invariants are watched
    findings  the findings, in order
    events    number of events so far

    Folios that were optimized before it listened are unknown to it; stores to their tails are not reported.
    """

    def __init__(self, machine: Machine, variant: HvoVariant = V6_12) -> None:
        self.machine = machine
        self.findings: list[Finding] = []
        self.events = 0
        self._handlers: dict[type[Event], list[Callable[[Any], None]]] = {}
        for invariant in INVARIANTS:
            if invariant.history is not None and invariant.applies_to(variant):
                report = invariant.reporter(self.findings, lambda: self.events)
                for kind, handler in invariant.history(machine, report).items():
                    self._handlers.setdefault(kind, []).append(handler)

    @contextmanager
    def watch(self, *, single_steps: bool = False) -> Iterator[Monitor]:
        """Listen inside the ``with`` block."""
        with self.machine.trace.listen(self, single_steps=single_steps):
            yield self

    def __call__(self, event: Event) -> None:
        """Handle one event."""
        self.events += 1
        for handle in self._handlers.get(type(event), ()):
            handle(event)
