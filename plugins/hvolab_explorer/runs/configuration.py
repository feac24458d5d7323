# SPDX-License-Identifier: GPL-2.0-only
"""Configurations: which actors run on which machine, read from text and ready-made."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import combinations
from pkgutil import iter_modules

from hvolab.arch import Target
from hvolab.errors import UsageError, choice_hint
from hvolab.hugetlb import Pool
from hvolab.hvo import Hvo
from hvolab.plugin import registry
from hvolab_explorer import actors
from hvolab_explorer.actors.kind import ActorKind, Maker, Place, of_plugin
from hvolab_explorer.world.code import CodeEngine
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import Body, EngineOfCpu, World, WorldProgram, WorldSpec

#: Kinds of TLB and of memory; the first is that of a configuration.
TLB_KINDS = ("lazy", "speculative")
MEMORY_KINDS = ("strong", "weak")
_PLACE = re.compile(r"([A-Z])(?:\.(\d+))?")


def _kinds() -> dict[str, ActorKind]:
    """Import every module of the package of actors, and return the kinds in it by name."""
    modules = [import_module(f"{actors.__name__}.{found.name}") for found in iter_modules(actors.__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, ActorKind)]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}


#: Every kind of actor of the explorer itself, by name.
KINDS = _kinds()


def all_kinds() -> dict[str, ActorKind]:
    """Return every kind of actor by name, those of plugins after the explorer's own, whose names they cannot take."""
    found = dict(KINDS)
    for name, make in registry().actors().items():
        kind = make if isinstance(make, ActorKind) else _kind_of(name, make)
        found.setdefault(name, replace(kind, make=of_plugin(name, kind.make)))
    return found


def _kind_of(name: str, make: Maker) -> ActorKind:
    """Return the kind of an actor that is a function, described by its docstring."""
    return ActorKind(name, "PAGE...", (inspect.getdoc(make) or name).partition("\n")[0], make)


@dataclass(frozen=True)
class ActorSpec:
    """One actor: its kind and its places."""

    kind: ActorKind
    places: tuple[Place, ...]

    def __str__(self) -> str:
        return " ".join([self.kind.name, *map(str, self.places)])

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle it as its text: a kind may have been made by a function."""
        return parse_actor, (str(self),)

    def body(self, cpu: int) -> tuple[str, Body]:
        """Return its name and the maker of its program on a CPU."""
        return str(self), lambda world, _: self.kind.make(world, cpu, self.places)


@dataclass(frozen=True)
class Configuration:
    """Actors and the state in which they begin.

    name      name of a ready-made one; empty: the user's own
    sentence  what it explores
    actors    the actors, in order of their CPUs
    split     the leaves that map the vmemmap are split at the start
    options   choices about allocations
    engine    makes the engine of a CPU
    pool      class of the pool
    code      engine whose instructions are steps, in the place of ``engine``; None: there is none
    """

    name: str
    sentence: str
    actors: tuple[ActorSpec, ...]
    split: bool = False
    options: WorldOptions = field(default_factory=WorldOptions)
    engine: EngineOfCpu = Hvo
    pool: type[Pool] = Pool
    code: CodeEngine | None = None

    def text(self, target: Target) -> str:
        """Return everything that decides what a schedule does, on one line."""
        names = target.architecture.name, target.mode.name, target.profile, str(target.release), *target.features
        choice = " ".join(names)
        parts = [", ".join(map(str, self.actors)), f"split {self.split}", str(self.options), choice]
        own = [str(getattr(made, "__qualname__", made)) for made in (self.engine, self.pool) if made not in {Hvo, Pool}]
        return "; ".join(parts + own + ([] if self.code is None else [self.code.identity]))

    def spec(self) -> WorldSpec:
        """Return the description of the machine that the actors need; raises UsageError if they need two."""
        first = self.actors[0]
        if first.kind.helps:
            what = f"{first.kind.name} is on the CPU of the actor before it, and is the first"
            raise UsageError(what, where=str(first), hint=f"name an actor before it: taker A.64, {first}")
        _require_one_owner(self.actors)
        places = [place for actor in self.actors for place in actor.places]
        optimized, fresh = (
            frozenset(place.folio for actor in self.actors if getattr(actor.kind, state) for place in actor.places)
            for state in ("starts_optimized", "starts_fresh")
        )
        in_use = tuple(
            (place.folio, place.page)
            for actor in self.actors
            for place in actor.places
            if actor.kind.starts_in_use and place.page
        )
        listed = tuple(
            (cpu, place.folio) for cpu, actor in self._on_cpus() if actor.kind.starts_listed for place in actor.places
        )
        enabled = not any(actor.kind.starts_disabled for actor in self.actors)
        pooled = any(actor.kind.uses_pool for actor in self.actors)
        folios = max((place.folio for place in places), default=0) + 1
        cpus = max(len(self.actors), 1)
        return WorldSpec(
            folios,
            optimized,
            in_use,
            enabled,
            fresh,
            pooled=pooled,
            demotes=any(actor.kind.demotes for actor in self.actors),
            listed=listed,
            kmemleak=any(actor.kind.uses_kmemleak for actor in self.actors),
            split=self.split,
            cpus=cpus,
            options=self.options,
            engine=self.engine,
            pool=self.pool,
            code=self.code,
        )

    def program(self, target: Target) -> WorldProgram:
        """Return the actors on a new machine."""
        return WorldProgram(World(target, self.spec()), self.bodies())

    def bodies(self) -> list[tuple[str, Body]]:
        """Return names and makers of the actors' programs: each on its CPU, or on that of the one that it helps."""
        return [actor.body(cpu) for cpu, actor in self._on_cpus()]

    def _on_cpus(self) -> Iterator[tuple[int, ActorSpec]]:
        """Yield each actor with the number of its CPU."""
        cpu = 0
        for number, actor in enumerate(self.actors):
            cpu = cpu if actor.kind.helps else number
            yield cpu, actor

    def with_tlb(self, kind: str) -> Configuration:
        """Return the configuration with a kind of TLB.

        lazy         accesses alone fill it: the configuration unchanged
        speculative  for each actor that reads without a lock, its CPU walks ahead too
        Raises UsageError for another kind.
        """
        if kind not in TLB_KINDS:
            raise UsageError(f"unknown kind of TLB {kind!r}", hint=choice_hint(kind, TLB_KINDS))
        return self if kind == "lazy" else self._helped("walk-ahead")

    def with_memory(self, kind: str) -> Configuration:
        """Return the configuration with a kind of memory.

        strong  accesses are sequentially consistent: the configuration unchanged
        weak    stores wait in buffers, and the CPU of each actor that reads without a lock may load early
        Raises UsageError for another kind, and for weak memory with an engine whose instructions are steps.
        """
        if kind not in MEMORY_KINDS:
            raise UsageError(f"unknown kind of memory {kind!r}", hint=choice_hint(kind, MEMORY_KINDS))
        if kind == "strong":
            return self
        if self.code is not None:
            raise UsageError(
                "--memory weak with a kernel's own code",
                rule="its stores are the emulator's, which has no store buffers",
                hint="leave one of --memory and --engine out",
            )
        return self._helped("load-early").with_options(replace(self.options, weak=True))

    def _helped(self, name: str) -> Configuration:
        """Return the configuration with a helper of each actor that reads without a lock."""
        found: list[ActorSpec] = []
        for actor in self.actors:
            found.append(actor)
            if actor.kind.reads:
                found.append(ActorSpec(KINDS[name], actor.places))
        return replace(self, actors=tuple(found))

    def assumptions(self) -> list[str]:
        """Return what a complete search of it takes for granted."""
        options = self.options
        failures = "no allocation fails" if not options.failures else f"{options.failures} or fewer allocations fail"
        memory = ["accesses are sequentially consistent" + " (--memory weak lifts it)" * (self.code is None)]
        if options.weak:
            memory = [
                "atomic operations, locks, flushes and allocations wait for the stores before them",
                "all CPUs see a store at once, and the only early loads are those of load-early",
            ]
        found = [*memory, "a copy of a page, the fill of a new table and the free of a block are one step each"]
        if not options.overwrites:
            found.append("what is allocated is written before it is read (--poison checks it)")
        if any(actor.kind.uses_pool for actor in self.actors):
            found.append("counters of a pool are read and written within a step of their actor")
        ahead = any(actor.kind.name == "walk-ahead" for actor in self.actors)
        lifted = "walk-ahead fills some more" if ahead else "--tlb speculative lifts it for readers without a lock"
        found.append(f"a TLB is filled by accesses alone ({lifted})")
        if not options.ordered:
            found.append("each CPU allocates from a list of its own (--allocations ordered lifts it)")
        if self.code is not None:
            found += self.code.assumptions
        return [*found, f"{failures} (--fail)"]

    def with_options(self, options: WorldOptions) -> Configuration:
        """Return the configuration with other choices about allocations."""
        return replace(self, options=options)


def shared_assumptions(configurations: Iterable[Configuration]) -> Iterator[str]:
    """Yield what complete searches take for granted, with the names of configurations where only some do."""
    found: dict[str, dict[str, None]] = {}
    names: dict[str, None] = {}
    for one in configurations:
        names[one.name] = None
        for text in one.assumptions():
            found.setdefault(text, {})[one.name] = None
    for text, some in found.items():
        others = [name for name in names if name not in some]
        if not others:
            yield text
        elif len(others) < len(some):
            yield f"{text}, but for {', '.join(others)}"
        else:
            yield f"{text}: {', '.join(some)}"


def parse_actors(text: str) -> tuple[ActorSpec, ...]:
    """Return the actors of a text such as ``optimize A, taker A.64``; raises UsageError for another form."""
    return tuple(parse_actor(part.strip()) for part in text.split(","))


def parse_actor(part: str) -> ActorSpec:
    """Return the actor of a text such as ``taker A.64``; raises UsageError for another form."""
    words = part.split()
    if not words:
        raise UsageError(
            "an actor is missing", where="--actors", hint='name one for each comma: "optimize A, restore B"'
        )
    kind = KINDS.get(words[0]) or all_kinds().get(words[0])
    if kind is None:
        raise UsageError(f"unknown actor {words[0]!r}", hint=choice_hint(words[0], all_kinds()))
    places = [_PLACE.fullmatch(word) for word in words[1:]]
    what = "folio" if kind.arguments.startswith("FOLIO") else "struct page"
    wrong = [
        word
        for word, place in zip(words[1:], places, strict=True)
        if place is None or (what == "folio" and place[2] is not None)
    ]
    if wrong or bool(places) != bool(kind.arguments) or (len(places) > 1 and not kind.arguments.endswith("...")):
        number = f"{len(places)} {what}{'s' * (len(places) != 1)}"
        raise UsageError(
            f"{wrong[0]!r} is not a {what}" if wrong else f"{kind.name} with {number}",
            where=part,
            hint=f"write {kind.name}{_example(kind, what)}",
        )
    found = [Place(ord(place[1]) - ord("A"), int(place[2] or 0)) for place in places if place is not None]
    return ActorSpec(kind, tuple(found))


def _example(kind: ActorKind, what: str) -> str:
    """Return how the places of a kind are written."""
    if not kind.arguments:
        return " alone"
    return f" {kind.arguments}, as A" + (" or A.64" if what == "struct page" else " or B")


def _require_one_owner(actors: Sequence[ActorSpec]) -> None:
    """Raise UsageError for actors of which the kernel runs no two at a time, as one owns what the other uses."""
    for one, other in combinations(actors, 2):
        for owner, user in ((one, other), (other, one)):
            where = f"{owner}, {user}"
            if not owner.kind.owns:
                continue
            if user.kind.uses_pool and not owner.kind.uses_pool:
                raise UsageError(
                    f"{owner.kind.name} is given a folio of its own, and {user.kind.name} has all of them in the pool",
                    where=where,
                    rule="a caller of HVO in mm/hugetlb.c has taken the folio off the pool's lists",
                    hint="choose actors of the pool alone: add optimizes, dissolve and shrink restore",
                )
            same = {place.folio for place in owner.places} & {place.folio for place in user.places}
            if same and (user.kind.owns or user.kind.arguments.startswith("FOLIO")):
                raise UsageError(
                    f"two actors are given the same folio, {Place(min(same))}",
                    where=where,
                    rule=f"{owner.kind.name}: a folio of its own, as of its callers in the kernel",
                    hint="name another folio in one of them",
                )


def _ready(
    name: str, text: str, sentence: str, *, split: bool = False, failures: int = 0, poisoned: bool = False
) -> Configuration:
    return Configuration(name, sentence, parse_actors(text), split, WorldOptions(failures, poisoned=poisoned))


#: Configurations that `hvolab explore` runs without --actors.
READY: tuple[Configuration, ...] = (
    _ready("two-optimizers", "optimize A, optimize B", "Two folios below one PMD leaf, which both CPUs want to split."),
    _ready("two-optimizers-split", "optimize A, optimize B", "The same below a table.", split=True),
    _ready("two-optimizers-fail", "optimize A, optimize B", "The same, and one allocation fails.", failures=1),
    _ready("optimize-restore", "optimize A, restore B", "Neighbors, one optimized, the other restored."),
    _ready("two-restorers", "restore A, restore B", "Neighbors that are restored."),
    _ready(
        "restore-fail", "restore A, optimize B", "A restore next to an optimization, one allocation fails.", failures=1
    ),
    _ready("taker", "allocate A, taker A.64", "A speculative reference to a tail of a folio that goes into use."),
    _ready("recycle", "recycle A.64, taker A.64", "A speculative reference to a page that is freed and optimized."),
    _ready(
        "recycle-list",
        "recycle-list A.64 B.64, taker B.64",
        "The same with a batch, which waits for one grace period.",
        split=True,
    ),
    _ready("scanner", "optimize A, scanner A.64 A.70 A.200", "compound_head() of tails while they are remapped."),
    _ready(
        "scanner-restore",
        "restore A, scanner A.64 A.200",
        "compound_head() of tails while they are restored, to pages with any contents.",
        poisoned=True,
    ),
    _ready(
        "batch-scanner",
        "optimize-list A B, scanner B.64 A.200",
        "compound_head() of tails while a list is optimized, which flushes at its end.",
    ),
    _ready(
        "batch-speculative",
        "optimize-list A, scanner A.200, walk-ahead A.200",
        "The same with a TLB that is also filled without any access.",
        split=True,
    ),
    _ready("shrink-fail", "shrink A B", "A pool that shrinks, and one allocation fails.", split=True, failures=1),
    _ready(
        "add-hotplug", "add A B, cpu-hotplug", "Folios that are added to a pool while a CPU goes online.", split=True
    ),
    _ready("two-memory-failures", "memory-failure A.70, memory-failure A.71", "Two memory errors in one free folio."),
    _ready("kmemleak", "optimize A, kmemleak A.64", "A scan of boot memory that is being freed.", split=True),
    _ready("sysctl", "optimize-list A B, sysctl-off", "The sysctl is written while a list is optimized.", split=True),
)
