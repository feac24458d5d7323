# SPDX-License-Identifier: GPL-2.0-only
"""Configurations and worlds that several tests of the explorer run."""

from __future__ import annotations

from hvolab_explorer.exploration import Limits, Result, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import World, WorldProgram
from tests.machines import x86_64


def program(actors: str, *, split: bool = True, failures: int = 0, release: str = "6.12") -> WorldProgram:
    """Actors on a new machine of x86_64."""
    options = WorldOptions(failures=failures)
    return Configuration("", "", parse_actors(actors), split, options).program(x86_64(release=release))


def explored(actors: str, *, split: bool = True, failures: int = 0) -> Result:
    """Everything that the default search finds."""
    return explore(program(actors, split=split, failures=failures), Dpor(), Limits(first_finding=False))


def alone(actors: str, *, split: bool = True, release: str = "6.12") -> World:
    """A world after one schedule of the actors."""
    made = program(actors, split=split, release=release)
    result = explore(made, Dpor(), Limits(schedules=1))
    assert not result.findings
    return made.world


def optimized(world: World, number: int = 0) -> bool:
    """Whether a folio is optimized."""
    return world.engines[0].folio_optimized(world.folios[number])


def count(world: World, page: int) -> int:
    """The reference count of the struct page at a VA."""
    layout = world.machine.struct_pages.layout
    return int.from_bytes(world.cpus[0].load(page + layout.refcount, 4), "little")
