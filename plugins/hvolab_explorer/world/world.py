# SPDX-License-Identifier: GPL-2.0-only
"""A machine with huge pages to explore: folios A, B, C, ... side by side, and an engine for each CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

import numpy as np

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, HvoEngine
from hvolab.invariants import Folios, check
from hvolab.machine import MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.machine.struct_pages import lists
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.at_rest import AtRest
from hvolab_explorer.world.code import CodeEngine
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_explorer.world.histories import Histories, is_reported
from hvolab_explorer.world.hstate import ExploredHstate
from hvolab_explorer.world.kmemleak import Kmemleak
from hvolab_explorer.world.machine import ExploredMachine, WorldOptions
from hvolab_explorer.world.oracles import FreeFrames, PageTableCheck, Unwritten
from hvolab_explorer.world.shared import ExploredRecords
from hvolab_explorer.world.weak import WeakCpu, WeakLocks

#: Makes the engine of one CPU.
EngineOfCpu = Callable[[ExploredMachine, ExploredCpu], Hvo]
#: Findings of one check that are reported.
_REPORTED = 8
#: Folios whose memory stays free where the others take all.
_SPARE_FOLIOS = 2
#: Free frames of a CPU for the restored vmemmap of a folio that is demoted.
_FRAMES_TO_DEMOTE = 256
#: Folios into which one is demoted, at most: each takes some 50 steps.
_MOST_PARTS = 64


@dataclass(frozen=True)
class WorldSpec:
    """Description of a machine to explore.

    folios     number of folios
    optimized  numbers of those that are optimized at the start
    in_use     folio and number of struct pages with one reference at the start
    enabled    the sysctl vm.hugetlb_optimize_vmemmap at the start
    fresh      numbers of folios that are allocated, but not in the pool's lists and counters yet
    surplus    numbers of folios that are surplus at the start
    listed     CPU and number of folios that are on the list of the CPU at the start, in order
    pooled     the folios are in a pool whose counters and lists are checked
    demotes    the folios are of a size that is demoted, to folios of another pool
    kmemleak   kmemleak has registered the pages of boot that back the vmemmap
    split      the leaves that map their vmemmap are split at the start
    cpus       number of CPUs
    memory     bytes of RAM, at least
    size       bytes of a folio; None: the smallest size that can be optimized
    vmemmap    owner of the frames that back the vmemmap
    nodes      NUMA nodes; the folios are on the last
    movable    the last node has only ZONE_MOVABLE
    options    choices about allocations
    engine     makes the engine of a CPU
    pool       class of the pool
    code       engine whose instructions are steps, in the place of ``engine``; None: there is none
    """

    folios: int = 3
    optimized: frozenset[int] = frozenset()
    in_use: tuple[tuple[int, int], ...] = ()
    enabled: bool = True
    fresh: frozenset[int] = frozenset()
    surplus: frozenset[int] = frozenset()
    listed: tuple[tuple[int, int], ...] = ()
    pooled: bool = False
    demotes: bool = False
    kmemleak: bool = False
    split: bool = False
    cpus: int = 3
    memory: int = 128 << 20
    size: int | None = None
    vmemmap: VmemmapBacking = VmemmapBacking.BOOT
    nodes: int = 1
    movable: bool = False
    options: WorldOptions = field(default_factory=WorldOptions)
    engine: EngineOfCpu = Hvo
    pool: type[Pool] = Pool
    code: CodeEngine | None = None


class World:
    """A machine to explore, with a checkpoint of its first state.

    scheduler  runs the actors
    machine    the machine
    cpus       its CPUs
    engines    the engine of each CPU
    h          the hstate of the folios
    folios     VAs of their head struct pages
    pools      the pool of the folios as each CPU sees it; ``smaller_pools``: that of the size to which they are demoted
    lists      VA of a list head for each CPU; ``restored_lists`` likewise, all of them empty
    code       the code that the engines run, if its instructions are steps
    """

    def __init__(self, target: Target, spec: WorldSpec) -> None:
        self.spec = spec
        self.scheduler = Scheduler()
        self._names: dict[int, str] = {}
        built = build_machine(target, _machine_spec(target, spec))
        self.machine = machine = ExploredMachine.of(built, self.scheduler, spec.options)
        self._pages = machine.struct_pages
        self.folios: list[int] = []
        kind = WeakCpu if spec.options.weak else ExploredCpu
        self.cpus = [kind(machine, cpu.index, self.scheduler, self.name) for cpu in machine.cpus]
        machine.cpus[:] = self.cpus
        machine.records = ExploredRecords(machine.records, machine.touch_struct_page)
        self.code = None if spec.code is None else spec.code.load(self)
        self.engines: list[HvoEngine] = [
            spec.engine(machine, cpu) if self.code is None else self.code.engine(cpu) for cpu in self.cpus
        ]
        sizes = {h.order: ExploredHstate.of(h, self.scheduler) for h in hstates(machine)}
        self.h = _hstate(self.engines[0], sizes, spec)
        self._pool = spec.pool(machine, self.h, self.engines[0])
        self._smaller = spec.pool(machine, sizes[self.h.demote_order], self.engines[0]) if spec.demotes else self._pool
        self._make_folios()
        self.pools, self.smaller_pools = (
            [pool.on(cpu, engine) for cpu, engine in zip(self.cpus, self.engines, strict=True)]
            for pool in (self._pool, self._smaller)
        )
        self.lists, self.restored_lists = ([machine.kernel_data(lists.SIZE) for _ in self.cpus] for _ in range(2))
        for head in (*self.lists, *self.restored_lists):
            lists.init(self.cpus[0], head)
        for number, folio in reversed(spec.listed):
            lists.move(self.cpus[0], self.folios[folio] + self._pages.layout.lru_next, self.lists[number])
        machine.fill_lists(*[_FRAMES_TO_DEMOTE] * spec.demotes)
        if spec.kmemleak:
            machine.kmemleak = Kmemleak(machine, self.scheduler)
        for cpu in self.cpus:
            cpu.flush_all()
            cpu.watches.append(FreeFrames(machine, self.scheduler, self.name))
            if spec.options.poisoned and not spec.options.weak:  # a weak CPU sees stores that are not in memory yet
                cpu.watches.append(Unwritten(machine, self.scheduler, self.name))
        if buffers := self.buffers():
            ordered = WeakLocks(self.scheduler, buffers)
            machine.locks.attach(ordered)
            machine.wait_for_stores = ordered.wait
        self._histories = Histories(machine, self.scheduler, self._has_pending)
        self._page_tables = PageTableCheck(machine, self.scheduler, self.name)
        for cpu in self.cpus:
            cpu.entry_watches.append(self._page_tables)
        parts = machine.kmemleak, self._smaller if spec.demotes else None, self.code
        others = [part for part in parts if part is not None]
        self.checkpoint = Checkpoint(machine, _Lists(machine), self._pool, *others)
        pools = (self._pool, self._smaller)[: 1 + spec.demotes] if spec.pooled else ()
        self._at_rest = AtRest(machine, pools, lambda: self._findings(pools))

    def _make_folios(self) -> None:
        machine, hvo, pool = self.machine, self.engines[0], self._pool
        model = Hvo(machine, self.cpus[0])
        machine.optimize_enabled = False
        if self.spec.vmemmap is VmemmapBacking.SELF_HOSTED:  # the first folios have other vmemmap
            pool.set_max_huge_pages(machine.memory.frames >> self.h.order)
            pool.set_max_huge_pages(self.h.nr - _SPARE_FOLIOS)
        else:
            pool.set_max_huge_pages(self.spec.folios, self.spec.nodes - 1)
        machine.optimize_enabled = True
        self._all_folios = sorted(pool.live)
        self.folios = self._all_folios[-self.spec.folios :]
        if len(self.folios) < self.spec.folios:
            raise UsageError(f"no memory for {self.spec.folios} huge pages", hint="explore fewer folios")
        for folio in self.folios:
            if self.spec.split:
                model.split_folio(self.h, folio)
        for number in sorted(self.spec.optimized):
            hvo.optimize_folio(self.h, self.folios[number])
        for number in sorted(self.spec.fresh):
            pool.remove(self.folios[number], surplus=False)
            pool.folio.set_private(self.folios[number], 0)
            pool.folio.set_refcount(self.folios[number], 0)
            pool.adopt(self.folios[number])
        for number in sorted(self.spec.surplus):
            self.h.count(pool.folio.node(self.folios[number]), surplus=1)
        self.h.max_huge_pages = self.h.persistent
        for number, page in self.spec.in_use:
            pfn = self._pages.pfn(self.folios[number]) + page
            machine.records.allocated(pfn, 1)
        machine.optimize_enabled = self.spec.enabled

    def buffers(self) -> list[WeakCpu]:
        """Return the CPUs with store buffers."""
        return [cpu for cpu in self.cpus if isinstance(cpu, WeakCpu)]

    def _has_pending(self, cpu: int) -> bool:
        """Return whether stores of a CPU are in its buffer."""
        found = self.cpus[cpu]
        return isinstance(found, WeakCpu) and found.has_pending()

    def restore(self, actors: int = 1) -> None:
        """Return to the first state, for a schedule of so many actors."""
        for cpu in self.buffers():
            cpu.begin()
        self.checkpoint.restore()
        self._page_tables.begin()
        if self.code is None:
            self._histories.begin(actors)
        else:  # the events of code are not known from which histories follow
            self.code.begin()

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

    def check(self) -> list[str]:
        """Return what breaks an invariant now, findings that the description or the release declares left out."""
        return self._at_rest.findings()

    def _findings(self, pools: Sequence[Pool]) -> list[str]:
        if pools:
            found = check(self.machine, pools)
        else:
            pfns = np.array(list(map(self._pages.pfn, self._all_folios)), dtype=np.int64)
            found = check(self.machine, (), (Folios(self.h.order, pfns),))
        return [str(one) for one in found if is_reported(one)][:_REPORTED]


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
        self.world.restore(len(self._bodies))

    def refine(self) -> bool:
        """Divide the code into smaller steps, if the schedules so far show that it must be."""
        return self.world.code is not None and self.world.code.refine()

    def actors(self) -> list[Actor]:
        """Return the actors, each on the CPU of its number."""
        bodies = enumerate(self._bodies)
        made = [Actor(number, name, body(self.world, number), number) for number, (name, body) in bodies]
        for cpu in self.world.buffers():
            made += cpu.drains(len(made))
        return made

    def check(self) -> list[str]:
        """Return what is wrong at the end."""
        return self.world.check()


def _hstate(engine: HvoEngine, sizes: dict[int, ExploredHstate], spec: WorldSpec) -> ExploredHstate:
    """Return the hstate of the size, or the smallest that can be optimized, and demoted into such if that is asked."""
    for h in sizes.values():
        if not engine.sizes(h).optimizable or spec.size not in {None, h.size}:
            continue
        if not spec.demotes:
            return h
        if h.demote_order and engine.sizes(sizes[h.demote_order]).optimizable:
            if h.order - h.demote_order > _MOST_PARTS.bit_length() - 1:
                break
            return h
    what = "can be optimized" if not spec.demotes else f"can be demoted into at most {_MOST_PARTS} that are optimized"
    size = "" if spec.size is None else f" ({spec.size:#x} bytes are requested)"
    hint = "choose another --arch or --mode" + ", as --arch arm64" * spec.demotes
    raise UsageError(f"no huge pages of this target {what}{size}", hint=hint)


def _machine_spec(target: Target, spec: WorldSpec) -> MachineSpec:
    """Return the machine: its RAM is enough for the folios, for one leaf of vmemmap on each node and for the tables."""
    sizes = [huge.size for huge in target.mode.huge_pages]
    size = spec.size or (
        next((one for one in sizes if one > target.mode.levels[-2].size), 0) if spec.demotes else min(sizes)
    )
    memory = max(spec.memory, size * (2 * spec.folios + 4)) * spec.nodes
    movable = frozenset({spec.nodes - 1} if spec.movable else ())
    return MachineSpec(
        memory,
        nodes=spec.nodes,
        movable_nodes=movable,
        cpus=spec.cpus,
        vmemmap=spec.vmemmap,
        layout=None if spec.code is None else spec.code.layout,
    )
