# SPDX-License-Identifier: GPL-2.0-only
"""pytest fixture `explore`, for tests that explore actors on a plugin's architecture or engine.

pytest loads it by `-p hvolab_explorer.fixtures` or by a conftest's `pytest_plugins`, with the fixtures of
`hvolab.conformance.fixtures`: the architecture is that of the fixture `target`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Group

from hvolab.arch import Target
from hvolab.cli.options import select_target
from hvolab.cli.output import as_text
from hvolab.errors import PluginError, UsageError
from hvolab.hugetlb import Pool
from hvolab.hvo import Hvo
from hvolab_explorer.extra import require_greenlet
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.run import Explored, Repeated, code_engine, repeat, run, world_options
from hvolab_explorer.runs.story import story
from hvolab_explorer.search.spec import SearchSpec
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import EngineOfCpu

pytest_plugins = ("hvolab.conformance.fixtures",)


@dataclass(frozen=True)
class ExploreFixture:
    """Explorer on the target of a test."""

    target: Target

    def __call__(
        self,
        actors: str,
        *,
        search: str | SearchSpec = "dpor",
        seconds: float = 60,
        complete: bool = True,
        **state: Any,
    ) -> Explored:
        """Explore the actors, and fail the test at a finding, with its schedule and story.

        actors           as `hvolab explore --actors` takes them
        search, seconds  as the options of the command
        complete         fail the test too if schedules are left out, because of the time or the kind of search
        state            arguments of configuration()
        """
        spec = SearchSpec(search) if isinstance(search, str) else search
        with _errors_as_failures():
            made = configuration(actors, **state)
            explored = run(made, self._target_of(made), spec, seconds)
        for found, schedule in zip(explored.findings, explored.schedules, strict=True):
            _fail(
                explored.configuration,
                explored.target,
                [found.text],
                schedule,
                story(explored.configuration, found.log, found.prevention),
            )
        if complete and not explored.result.complete:
            pytest.fail(f"{actors} on {explored.target}: {explored.result.verdict}", pytrace=False)
        return explored

    def replay(self, actors: str, schedule: str, **state: Any) -> Repeated:
        """Run one schedule, as a finding prints it, and fail the test if it has a finding still."""
        with _errors_as_failures():
            made = configuration(actors, **state)
            repeated = repeat([made], self._target_of(made), schedule)
        if repeated.texts:
            _fail(
                repeated.configuration,
                repeated.target,
                repeated.texts,
                schedule,
                story(made, repeated.log, repeated.prevention),
            )
        return repeated

    def _target_of(self, made: Configuration) -> Target:
        """Return the target of the test, or of the kernel image of a configuration."""
        if made.code is None:
            return self.target
        setup = made.code.setup
        return select_target(setup.architecture, setup.mode, None, None, None, setup)


def configuration(
    actors: str,
    *,
    split: bool = False,
    fail: int = 0,
    allocations: str = "per-cpu",
    poison: bool = False,
    tlb: str = "lazy",
    memory: str = "strong",
    engine: EngineOfCpu = Hvo,
    pool: type[Pool] = Pool,
    image: Path | None = None,
    object_file: Path | None = None,
) -> Configuration:
    """Return the configuration of these actors, with choices as the options of the command.

    engine       makes the engine of a CPU
    pool         class of the pool
    image        kernel image whose own code is the engine, on the machine that it needs
    object_file  object that is linked over it
    """
    if object_file is not None and image is None:
        raise UsageError("an object requires an image", hint="name a kernel image: image=FILE")
    code = None if image is None else code_engine("kernel", image, object_file, None)
    options = world_options(WorldOptions(), fail, allocations, poison=poison)
    made = Configuration("", "", parse_actors(actors), split, options, engine, pool, code)
    return made.with_tlb(tlb).with_memory(memory)


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    """Fail the test with the message of a wrong argument or plugin, without the frames of the explorer."""
    try:
        yield
    except (UsageError, PluginError) as error:
        pytest.fail(str(error), pytrace=False)


def _fail(made: Configuration, target: Target, texts: Sequence[str], schedule: str, lanes: Group) -> None:
    """Fail the test with findings, their schedule and its story."""
    lines = [f"{', '.join(map(str, made.actors))} on {target}", *(f"finding: {text}" for text in texts)]
    pytest.fail("\n".join([*lines, f"schedule: {schedule}", "", as_text(lanes)]), pytrace=False)


@pytest.fixture
def explore(target: Target) -> ExploreFixture:
    """Return the explorer: `explore("optimize A, optimize B")` fails at a finding, and unless it is complete."""
    require_greenlet()
    return ExploreFixture(target)
