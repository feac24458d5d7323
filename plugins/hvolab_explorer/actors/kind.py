# SPDX-License-Identifier: GPL-2.0-only
"""A kind of actor, and the struct pages that it is given."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hvolab.errors import HvolabError, PluginError, UsageError
from hvolab_explorer.steps.actor import Exhausted, Pruned
from hvolab_explorer.world.world import World


@dataclass(frozen=True)
class Place:
    """A struct page: ``A`` is the head of folio A, ``A.64`` its struct page 64.

    folio  number of the folio
    page   number of the struct page in it
    """

    folio: int
    page: int = 0

    def va(self, world: World) -> int:
        """Return the VA of the struct page; raises UsageError if the world does not have it."""
        if self.folio >= len(world.folios) or self.page >= 1 << world.h.order:
            raise UsageError(
                f"no struct page {self}",
                where=f"a folio has {1 << world.h.order} struct pages",
                hint=f"name one from {self.head}.0 to {self.head}.{(1 << world.h.order) - 1}",
            )
        return world.folios[self.folio] + self.page * world.machine.struct_pages.layout.size

    @property
    def head(self) -> Place:
        """The head of the folio."""
        return Place(self.folio)

    def __str__(self) -> str:
        letter = chr(ord("A") + self.folio)
        return f"{letter}.{self.page}" if self.page else letter


#: Makes the program of an actor on the CPU of that number, for the places that it is given.
Maker = Callable[[World, int, Sequence[Place]], Callable[[], object]]


@dataclass(frozen=True)
class ActorKind:
    """One kind of actor.

    name              its name in configurations
    arguments         the places that it takes, for people: ``FOLIO`` or ``PAGE...``
    summary           what it does, in a sentence, with the kernel function
    make              makes its program
    starts_optimized  its folios are optimized at the start
    starts_fresh      its folios are allocated at the start, but not in the pool yet
    starts_disabled   the sysctl vm.hugetlb_optimize_vmemmap is 0 at the start
    starts_in_use     its struct pages have one reference at the start
    starts_listed     its folios are on the list of its CPU at the start, in order
    owns              its folios are its own, as those of callers of HVO: on no list of the pool
    uses_pool         it is an operation of the pool, whose counters and lists are checked at the end
    demotes           its folios are of a size that is demoted
    uses_kmemleak     kmemleak has registered the pages of boot
    reads             it reads struct pages without a reference or lock
    helps             it is what the CPU of the actor before it does besides
    """

    name: str
    arguments: str
    summary: str
    make: Maker = field(repr=False)
    starts_optimized: bool = False
    starts_fresh: bool = False
    starts_disabled: bool = False
    starts_in_use: bool = False
    starts_listed: bool = False
    owns: bool = False
    uses_pool: bool = False
    demotes: bool = False
    uses_kmemleak: bool = False
    reads: bool = False
    helps: bool = False

    def __call__(self, world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
        """Make its program."""
        return self.make(world, cpu, places)


def of_plugin(name: str, make: Maker) -> Maker:
    """Return the maker with every exception of it and of its programs, unless hvolab raises it, as a PluginError."""

    def guarded(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
        """Make the program of an actor."""
        with _named(name):
            body = make(world, cpu, places)

        def program() -> None:
            with _named(name):
                body()

        return program

    return guarded


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Raise an exception of a plugin's actor as a PluginError with the actor's name and the line."""
    try:
        yield
    except (HvolabError, Exhausted, Pruned):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f"the actor {name} raises {type(error).__name__}: {error}",
            where=f"{last.filename}:{last.lineno}",
            rule="hvolab_actors() returns functions of a world, a CPU and places, which return a program",
            hint="repair the plugin that has the actor: `hvolab plugins` lists them",
        ) from error


def for_each_folio(operation: Callable[[World, int, int], object]) -> Maker:
    """Return the maker of a program that does ``operation(world, cpu, folio)`` to one folio after the other."""

    def make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
        folios = [place.va(world) for place in places]

        def body() -> None:
            for folio in folios:
                operation(world, cpu, folio)

        return body

    return make
