# SPDX-License-Identifier: GPL-2.0-only
"""Engines whose own instructions are steps, as those of a kernel's compiled code in an emulator.

Such an engine decides by itself before which instructions its CPUs stop: more of them, whenever a schedule shows that
CPUs share a word. Schedules before and after that have other steps, so that a search begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from hvolab.hvo import EngineSetup, HasOrder, HvoEngine
from hvolab.release import StructPageLayout
from hvolab_explorer.steps.actor import Step
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_explorer.world.machine import ExploredMachine


class CodeWorld(Protocol):
    """The world as code sees it: see `hvolab_explorer.world.world.World`."""

    scheduler: Scheduler
    machine: ExploredMachine
    cpus: list[ExploredCpu]
    folios: list[int]

    @property
    def h(self) -> HasOrder:
        """Hstate of the folios."""

    def name(self, va: int) -> str:
        """Return the name of a VA."""


class ExploredCode(Protocol):
    """Code of one world, which runs on each of its CPUs."""

    def engine(self, cpu: ExploredCpu) -> HvoEngine:
        """Return the engine of a CPU."""

    def save(self) -> Callable[[], None]:
        """Save the code's own memory; return the function that restores it."""

    def begin(self) -> None:
        """Begin a schedule, in the world's first state."""

    def refine(self) -> bool:
        """Stop before more instructions from now on, if the schedules so far show that; return whether they do."""

    def portable(self, log: Sequence[Step]) -> tuple[list[Step], tuple[str, ...]]:
        """Return the log of the schedule that was just run with stops only where it needs them, and names of those.

        With :meth:`use_points` the same schedule has these steps in any world.
        """

    def use_points(self, points: Sequence[str]) -> None:
        """Stop before these instructions from now on, each time; raises UsageError for one that it does not have."""


class CodeEngine(Protocol):
    """Engine of a program whose instructions are explored.

    identity     text that is different for each program, for the hash of a configuration
    assumptions  what a complete search takes for granted because of it
    layout       struct page of the machine
    """

    @property
    def identity(self) -> str:
        """Text of the program."""

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Sentences for a report."""

    @property
    def layout(self) -> StructPageLayout | None:
        """None: that of the release."""

    @property
    def setup(self) -> EngineSetup:
        """Requirements on the machine."""

    def load(self, world: CodeWorld) -> ExploredCode:
        """Load the program into a world."""


@runtime_checkable
class CodeEngineMaker(Protocol):
    """Maker of an engine (hook `hvolab_engines`) whose instructions can be explored."""

    def explored(self, image: Path | None, object_file: Path | None, release: str | None) -> CodeEngine:
        """Return the engine of an image with an object linked over it; raises UsageError as `setup()` does."""
