# SPDX-License-Identifier: GPL-2.0-only
"""The invariants, found in the modules of :mod:`hvolab.invariants.rules`, and checks of a machine against them.

Those that are states are checked at rest, by :func:`check`; those that are histories by a listener, a :class:`Monitor`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from hvolab.errors import HvolabError
from hvolab.hugetlb import Pool
from hvolab.invariants import rules
from hvolab.invariants.invariant import Finding, Invariant
from hvolab.invariants.rules.mapping import REMAPPED
from hvolab.invariants.survey import Folios, survey
from hvolab.machine import Machine
from hvolab.trace import Event


def _invariants() -> tuple[Invariant, ...]:
    """Import every module of the package, and return the invariants in it by number."""
    modules = [import_module(f"{rules.__name__}.{found.name}") for found in iter_modules(rules.__path__)]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, Invariant)}
    return tuple(sorted(found, key=lambda invariant: invariant.number))


#: Errors of a check that reads a machine whose tables, lists or struct pages are wrong.
_UNREADABLE = (HvolabError, LookupError, ArithmeticError, ValueError)
#: Every invariant, by number.
INVARIANTS = _invariants()


def check(
    machine: Machine,
    pools: Iterable[Pool] = (),
    folios: Sequence[Folios] = (),
    *,
    other_frames: int = 0,
    invariants: Iterable[Invariant] = INVARIANTS,
) -> list[Finding]:
    """Check every invariant that is a state and that the machine's kernel release has; return the findings.

    The arguments are those of :func:`survey`, and the invariants. What is too wrong to be read is a finding as well.
    """
    variant = machine.target.release.variant
    findings: list[Finding] = []
    try:
        seen = survey(machine, pools, folios, other_frames=other_frames)
    except _UNREADABLE as error:
        REMAPPED.reporter(findings)(f"the page tables of the vmemmap cannot be read: {error}")
        return findings
    for invariant in invariants:
        if invariant.state is not None and invariant.applies_to(variant):
            report = invariant.reporter(findings)
            try:
                invariant.state(seen, report)
            except _UNREADABLE as error:
                report(f"the rule cannot be checked: {type(error).__name__}: {error}")
    return findings


class Monitor:
    """Listener that collects what breaks an invariant that is a history, and that the machine's kernel release has.

    findings  the findings, in order
    events    number of events so far

    Folios that were optimized before it listened are unknown to it; stores to their tails are not reported.
    ``invariants`` are those that it watches.
    """

    def __init__(self, machine: Machine, invariants: Iterable[Invariant] = INVARIANTS) -> None:
        self.machine = machine
        variant = machine.target.release.variant
        self.findings: list[Finding] = []
        self.events = 0
        self._handlers: dict[type[Event], list[Callable[[Any], None]]] = {}
        for invariant in invariants:
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
