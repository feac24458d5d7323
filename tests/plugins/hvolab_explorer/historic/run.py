# SPDX-License-Identifier: GPL-2.0-only
"""Exploration of a historic bug, with its fix and without."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

from hvolab.plugin import registry
from hvolab_explorer.exploration import Found, Limits, Result, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import World, WorldProgram
from tests.plugins.hvolab_explorer.historic.bugs import HistoricBug, Without

#: Schedules without a fix at most.
_MOST = 60


class _CheckedProgram(WorldProgram):
    """A program with a check of its own at the end."""

    bug: HistoricBug

    def check(self) -> list[str]:
        return super().check() + (self.bug.check(self.world) if self.bug.check is not None else [])


_quiet: dict[str, Result] = {}


def with_fix(bug: HistoricBug) -> Result:
    """Explore every class, once for the bugs that differ in what is taken out alone."""
    key = repr((bug.actors, bug.arch, bug.release, bug.failures, bug.ordered, bug.state, bug.check))
    if key not in _quiet:
        _quiet[key] = _explored(bug, Without(), Limits(seconds=120))
    return _quiet[key]


def without_fix(bug: HistoricBug) -> Result:
    """Explore up to the first finding, or as far as the bug's finding may be."""
    return _explored(bug, bug.without, Limits(schedules=_MOST, first_finding=not bug.later))


def finding(bug: HistoricBug, result: Result) -> Found | None:
    """Return the first finding with the bug's words."""
    return next((found for text, found in result.findings.items() if re.search(bug.finding, text)), None)


def _explored(bug: HistoricBug, code: Without, limits: Limits) -> Result:
    options = WorldOptions(bug.failures, ordered=bug.ordered)
    made = Configuration("", "", parse_actors(code.actors or bug.actors), split=True, options=options)
    target = registry().architecture(bug.arch).select(release=bug.release)
    world = World(target, replace(made.spec(), engine=code.engine, pool=code.pool, **bug.state))
    if code.world is not None:
        code.world(world)
    program = _CheckedProgram(world, made.bodies())
    program.bug = bug
    with ExitStack() as stack:
        for name, function in code.patches:
            stack.enter_context(patch(name, function))
        return explore(program, Dpor(), limits)
