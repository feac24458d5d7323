# SPDX-License-Identifier: GPL-2.0-only
"""Actors, the entries of a schedule's log, and the exceptions that end schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hvolab_explorer.steps.footprint import Footprint


class Exhausted(Exception):  # noqa: N818 - no fault of an actor
    """A limit of the explorer ends the exploration; the message has the reason."""


class Pruned(Exception):  # noqa: N818 - no error: the rest of a schedule is known
    """A search ends a schedule whose rest it has explored."""


@dataclass(eq=False, slots=True)
class Actor:
    """A program on one CPU.

    index  its number
    name   its name in stories
    body   the program
    cpu    number of its CPU
    text   the step before which it stands
    endless  it serves the others: a schedule ends when they have ended, and it has nothing to do
    """

    index: int
    name: str
    body: Callable[[], object]
    cpu: int
    text: str = "start"
    done: bool = False
    failed: bool = False
    endless: bool = False
    enabled: Callable[[], bool] | None = None
    waits_for: Footprint | None = None


class Step(NamedTuple):
    """One entry of a schedule's log: a step, or a choice within the step before it.

    actor   number of the actor
    text    description
    choice  alternative that was chosen within the step; None: this is a step
    """

    actor: int
    text: str
    choice: int | None = None
