# SPDX-License-Identifier: GPL-2.0-only
"""A machine with huge pages to explore: folios A, B, C, ... side by side, and an engine for each CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from string import ascii_uppercase

import numpy as np

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.hugetlb import Hstate, Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Folios, check
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.machine.cpus.observed import Translated
from hvolab.machine.struct_pages import lists
from hvolab.release.faults import FORGOTTEN
from hvolab_explorer.steps.scheduler import Actor, Scheduler
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_explorer.world.hstate import ExploredHstate
from hvolab_explorer.world.machine import ExploredMachine, ExploredRecords, WorldOptions

#: Makes the engine of one CPU.
EngineOfCpu = Callable[[ExploredMachine, ExploredCpu], Hvo]
#: Findings of one check that are reported.
_REPORTED = 8


@dataclass(frozen=True)
class WorldSpec:
    """Description of a machine to explore.

    folios     number of folios
    optimized  numbers of those that are optimized at the start
    in_use     folio and number of struct pages with one reference at the start
    enabled    the sysctl vm.hugetlb_optimize_vmemmap at the start
    fresh      numbers of folios that are allocated, but not in the pool's lists and counters yet
    pooled     the folios are in a pool whose counters and lists are checked
    split      the leaves that map their vmemmap are split at the start
    cpus       number of CPUs
    memory     bytes of RAM
    options    choices about allocations
    engine     makes the engine of a CPU
    pool       class of the pool
    """

    folios: int = 3
    optimized: frozenset[int] = frozenset()
    in_use: tuple[tuple[int, int], ...] = ()
    enabled: bool = True
    fresh: frozenset[int] = frozenset()
    pooled: bool = False
    split: bool = False
    cpus: int = 3
    memory: int = 128 << 20
    options: WorldOptions = field(default_factory=WorldOptions)
    engine: EngineOfCpu = Hvo
    pool: type[Pool] = Pool


class World:
    """A machine to explore, with a checkpoint of its first state.

    scheduler  runs the actors
    machine    the machine
    cpus       its CPUs
    engines    the engine of each CPU
    h          the hstate of the folios
    folios     VAs of their head struct pages
    pools      the pool of the folios as each CPU sees it
    lists      VA of a list head for each CPU, empty; ``restored_lists`` likewise
    """

    def __init__(self, target: Target, spec: WorldSpec) -> None:
        self.spec = spec
        self.scheduler = Scheduler()
        self._names: dict[int, str] = {}
        built = build_machine(target, MachineSpec(memory=_memory(target, spec), cpus=spec.cpus))
        self.machine = machine = ExploredMachine.of(built, self.scheduler, spec.options)
        self._pages = machine.struct_pages
        self.folios: list[int] = []
        self.cpus = [ExploredCpu(machine, cpu.index, self.scheduler, self.name) for cpu in machine.cpus]
        machine.cpus[:] = self.cpus
        machine.records = ExploredRecords(machine, machine.records)
        self.engines = [spec.engine(machine, cpu) for cpu in self.cpus]
        self.h = ExploredHstate.of(_smallest(self.engines[0], hstates(machine)), self.scheduler)
        self._pool = spec.pool(machine, self.h, self.engines[0])
        self._make_folios()
        self.pools = [self._pool.on(cpu, engine) for cpu, engine in zip(self.cpus, self.engines, strict=True)]
        self.lists, self.restored_lists = ([machine.kernel_data(lists.SIZE) for _ in self.cpus] for _ in range(2))
        for head in (*self.lists, *self.restored_lists):
            lists.init(self.cpus[0], head)
        machine.fill_lists()
        for cpu in self.cpus:
            cpu.flush_all()
            cpu.watches.append(self._watch)
        self.checkpoint = Checkpoint(machine, _Lists(machine), self._pool)

    def _make_folios(self) -> None:
        machine, hvo, pool = self.machine, self.engines[0], self._pool
        machine.optimize_enabled = False
        pool.set_max_huge_pages(self.spec.folios)
        machine.optimize_enabled = True
        self.folios = sorted(pool.live)
        if len(self.folios) < self.spec.folios:
            raise UsageError(f"no memory for {self.spec.folios} huge pages", hint="explore fewer folios")
        for folio in self.folios:
            if self.spec.split:
                hvo.split_folio(self.h, folio)
        for number in sorted(self.spec.optimized):
            hvo.optimize_folio(self.h, self.folios[number])
        for number in sorted(self.spec.fresh):
            pool.remove(self.folios[number], surplus=False)
            pool.folio.set_private(self.folios[number], 0)
            pool.adopt(self.folios[number])
        self.h.max_huge_pages = self.h.persistent
        for number, page in self.spec.in_use:
            pfn = self._pages.pfn(self.folios[number]) + page
            machine.records.allocated(pfn, 1)
        machine.optimize_enabled = self.spec.enabled

    # names

    def name(self, va: int) -> str:
        """Return the name of a VA: struct page and offset of a folio, or the PA in the direct map."""
        found = self._names.get(va)
        if found is None:
            found = self._name(va)
            if self.folios:
                self._names[va] = found
        return found

    def _name(self, va: int) -> str:
        size = self._pages.layout.size << self.h.order if self.folios else 0
        for letter, folio in zip(ascii_uppercase, self.folios, strict=False):
            if folio <= va < folio + size:
                page, offset = divmod(va - folio, self._pages.layout.size)
                return letter + (f".{page}" if page else "") + (f"+{offset}" if offset else "")
        pa = va - self.machine.virt(0)
        if 0 <= pa - self.machine.memory.base < self.machine.memory.size:
            return f"PA {pa:#x}"
        return f"VA {va:#x}"

    # oracles

    def _watch(self, translated: Translated) -> None:
        """Report an access through the vmemmap to a frame that is free."""
        if not self.scheduler.active or not translated.pa or not self._pages.base <= translated.va:
            return
        pfn = translated.pa >> self.machine.target.mode.page_shift
        frames, tables = self.machine.frames, self.machine.tables
        if not self._is_vmemmap(translated.va) or not frames.is_free(pfn):  # type: ignore[attr-defined]
            return
        what = "stores to" if translated.stores else "reads"
        how = "its entry" if tables.frame_of(translated.va) == pfn else "a stale translation"
        actor = self.scheduler.current
        self.scheduler.report(f"{actor.name if actor else ''} {what} a free frame at {self.name(translated.va)}: {how}")

    def _is_vmemmap(self, va: int) -> bool:
        return any(self._pages.va(first) <= va < self._pages.va(stop) for first, stop in self.machine.vmemmap)

    def check(self) -> list[str]:
        """Return what breaks an invariant now, findings that the description or the release declares left out."""
        if self.spec.pooled:
            found = check(self.machine, (self._pool,))
        else:
            pfns = np.array(sorted(map(self._pages.pfn, self.folios)), dtype=np.int64)
            found = check(self.machine, (), (Folios(self.h.order, pfns),))
        # every error is recorded with its page, so FORGOTTEN, a fault of the releases, does not explain a finding
        return [str(one) for one in found if not one.declared and one.fault in {"", FORGOTTEN}][:_REPORTED]


@dataclass
class _Lists:
    """The lists of free frames as a part of the checkpoint."""

    machine: ExploredMachine

    def save(self) -> Callable[[], None]:
        """Save them; return the function that restores them."""
        restore: Callable[[], None] = self.machine.save_lists()
        return restore


#: Makes the body of an actor on one CPU of a world.
Body = Callable[[World, int], Callable[[], object]]


class WorldProgram:
    """Actors on a world, as a program to explore."""

    def __init__(self, world: World, bodies: list[tuple[str, Body]]) -> None:
        self.world = world
        self.scheduler = world.scheduler
        self._bodies = bodies

    def restore(self) -> None:
        """Return the world to its first state."""
        self.world.checkpoint.restore()

    def actors(self) -> list[Actor]:
        """Return the actors, each on the CPU of its number."""
        made = enumerate(self._bodies)
        return [Actor(number, name, body(self.world, number), number) for number, (name, body) in made]

    def check(self) -> list[str]:
        """Return what is wrong at the end."""
        return self.world.check()


def _smallest(engine: Hvo, sizes: tuple[Hstate, ...]) -> Hstate:
    """Return the smallest huge page size that the engine can optimize."""
    for h in sizes:
        if engine.sizes(h).optimizable:
            return h
    raise UsageError("no huge page size of this target can be optimized", hint="choose another --arch or --mode")


def _memory(target: Target, spec: WorldSpec) -> int:
    """Return the bytes of RAM: enough for the folios, for one leaf of vmemmap and for the tables."""
    smallest = min(huge.size for huge in target.mode.huge_pages)
    return max(spec.memory, smallest * (2 * spec.folios + 4))
