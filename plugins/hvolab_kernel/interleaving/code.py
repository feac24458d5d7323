# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's code in a world of the explorer: one loaded kernel, and a CPU and an engine of it for each of the world's.

A step is what a CPU does from one stop to the next: it stops before each instruction that touches what CPUs share, and
in each stub that the machine performs. The copy of a page is one step, and so is taking a spin lock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.machine import Machine, PhysicalMemory
from hvolab_explorer.steps.actor import Step
from hvolab_explorer.world.code import CodeWorld
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_kernel.interleaving.accesses import Accesses
from hvolab_kernel.interleaving.cpu import InterleavedCpu
from hvolab_kernel.interleaving.knowledge import Knowledge
from hvolab_kernel.interleaving.points import Points
from hvolab_kernel.interleaving.spin_locks import SpinLocks
from hvolab_kernel.interleaving.translations import Translations
from hvolab_kernel.running import KernelHvo
from hvolab_kernel.running.kernel_cpu import SWITCH
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_vmlinux.kernel import Kernel

#: Functions of rw semaphores that the machine performs: whether they acquire, and whether for reading.
#: Kernel: kernel/locking/rwsem.c, v6.12.
SEMAPHORES: Final = {
    "down_read": (True, True),
    "up_read": (False, True),
    "down_write": (True, False),
    "up_write": (False, False),
}
#: Kernel: RWSEM_READER_BIAS and RWSEM_WRITER_LOCKED in kernel/locking/rwsem.c, v6.12.
_READER: Final = 1 << 8
_WRITER: Final = 1


class KernelCode:
    """One kernel in one world.

    loaded     the kernel in its memory
    knowledge  what the schedules so far have shown
    """

    def __init__(self, world: CodeWorld, kernel: Kernel) -> None:
        self._world, self._machine, self._scheduler = world, world.machine, world.scheduler
        self._kernel = kernel
        self.loaded = LoadedKernel(world.machine, kernel, len(world.machine.cpus))
        self._points = Points(kernel)
        self._locks = SpinLocks(self._scheduler, self._memory)
        self.knowledge = Knowledge(points=set(self._points.locks))
        self._cpus: list[InterleavedCpu] = []
        self._accesses: list[Accesses] = []
        self._engines: list[KernelHvo] = []
        self._translations = Translations(world.machine, ())
        self._exact = False
        #: Stops that were left out: length of the log, actor and VA of the instruction.
        self._passed: list[tuple[int, int, int]] = []
        self._words_per_frame = world.machine.target.mode.page_size // WORD_BYTES
        self._switch = kernel.symbols.find(SWITCH)
        self._count = kernel.types.offset("rw_semaphore", "count")
        self._lock_names = _names_of_locks(world.machine, kernel)
        self._scheduler.completing.append(self._complete)
        self._machine.switching.append(self._write_switch)
        self._machine.freeing.append(self._freed)

    def engine(self, cpu: ExploredCpu) -> KernelHvo:
        """Return the engine of a CPU."""
        made = InterleavedCpu(self._machine, self._kernel, cpu.index, self.loaded)
        made.on_lock(self._slow_path)
        for function, (acquires, shared) in SEMAPHORES.items():
            made.perform(function, partial(self._semaphore, acquires=acquires, shared=shared))
        engine = KernelHvo(self._machine, self._kernel, cpu, made)
        self._cpus.append(made)
        self._engines.append(engine)
        return engine

    def save(self) -> Callable[[], None]:
        """Save the kernel's memory; return the function that restores it. From now on accesses are recorded."""
        for engine in self._engines:
            engine.prepare(self._world.h)
        self._record()
        return self.loaded.memory.save()

    def _record(self) -> None:
        machine, layout = self._machine, self._machine.struct_pages.layout
        shift, size = machine.target.mode.page_shift, layout.size << self._world.h.order
        self._translations = Translations(machine, self._world.folios)
        for folio in self._world.folios:
            self.knowledge.pages.update(range(folio >> shift, folio + size >> shift))
        processors = self.loaded.processors
        for one in processors:
            self.knowledge.stored.update(range(one.stack.pa >> shift, one.stack.pa + one.stack.size >> shift))
        for cpu, explored in zip(self._cpus, self._world.cpus, strict=True):
            others = [one for one in processors if one is not cpu.processor]
            known = self.knowledge, self._translations, self._locks, self._points
            made = Accesses(machine, self.loaded, cpu, others, *known)
            cpu.on_access(made.touch, made.known)
            if self._points.page_copy is not None:
                va, sized = self._points.page_copy
                cpu.on_copy(va, sized=sized, reached=self._stop_at(made, va), copies=made.copies)
            cpu.emptied, cpu.faulted = made.emptied, made.faulted
            explored.flushing.extend((cpu.flush, made.flushed))
            self._accesses.append(made)
        self._stop()

    # schedules

    def begin(self) -> None:
        """Begin a schedule."""
        self.knowledge.forget()
        self._passed.clear()
        self._locks.begin()
        self._write_switch()
        self._translations.begin(self.knowledge.pages)
        for accesses in self._accesses:
            accesses.begin()

    def refine(self) -> bool:
        """Stop before more instructions from now on, if the schedule shows that."""
        touched = [accesses.touched for accesses in self._accesses]
        # many steps of an actor have one footprint
        for actor, footprint in {(event.actor, event.footprint) for event in self._scheduler.order.events}:
            touched[actor].add(footprint.reads, footprint.writes | footprint.adds, self._words_per_frame)
        self.knowledge.compare(touched)
        if len(self._cpus) > 1:
            self.knowledge.growing.stored.update(self._stored())
        if not self.knowledge.adopt():
            return False
        self._stop()
        return True

    def _stored(self) -> set[int]:
        """Return the frames of the kernel's memory to which anything was stored in the schedule."""
        memory, words = self.loaded.memory, self._words_per_frame
        parts = memory.changed(memory.first_pfn, memory.frames)
        return {memory.first_pfn + word // words for first, stop in parts for word in range(first, stop, words)}

    def _stop(self) -> None:
        for cpu, accesses in zip(self._cpus, self._accesses, strict=True):
            cpu.stop_before(self.knowledge.points, partial(self._stop_at, accesses))
            cpu.on_loads(self.knowledge.stored)

    # schedules that can be mailed

    def portable(self, log: Sequence[Step]) -> tuple[list[Step], tuple[str, ...]]:
        """Return the log of the schedule just run with those stops alone at which another CPU went on, and their names.

        Stops before accesses that are not shared are not in the log; which these are is not known in another world.
        """
        names = {self._points.name(va) for va in self.knowledge.points - self._points.locks}
        steps: list[Step] = []
        passed: dict[int, list[Step]] = {}
        for after, actor, va in self._passed:
            passed.setdefault(after, []).append(Step(actor, self._points.name(va)))
        for position, step in enumerate(log, 1):
            steps += [step, *passed.get(position, ())]
        needed: set[str] = set()
        begun: set[int] = set()
        last: int | None = None
        for step in steps:
            if step.choice is None:
                if step.actor != last and step.actor in begun and step.text in names:
                    needed.add(step.text)
                begun.add(step.actor)
                last = step.actor
        left = [step for step in steps if step.choice is not None or step.text not in names or step.text in needed]
        return left, tuple(sorted(needed))

    def use_points(self, points: Sequence[str]) -> None:
        """Stop before these instructions, each time; raises UsageError for a name that the kernel does not have."""
        self.knowledge.points = {self._points.va(name) for name in points} | self._points.locks
        self._exact = True
        self._stop()

    # steps

    def _stop_at(self, own: Accesses, va: int) -> Callable[[], None]:
        """Return the function that stops a CPU before an instruction."""
        scheduler, knowledge, locks, name = self._scheduler, self.knowledge, self._points.locks, self._points.name(va)
        is_private = own.private_at(va)

        def reached() -> None:
            """Stop, unless the instruction touches nothing that is shared."""
            actor = scheduler.current
            if actor is None or not scheduler.active or va not in knowledge.points:
                return
            if va in locks:
                self._wait_for(self._cpus[own.index].first_argument(), own.index)
            elif not self._exact and is_private():
                self._passed.append((len(scheduler.log), actor.index, va))
                return
            else:
                scheduler.point(name)
            own.begin_step()

        return reached

    def _wait_for(self, lock: int, cpu: int) -> int:
        """Stop until a spin lock is free; return its PA."""
        pa = self._pa(lock)
        self._locks.wait(pa, self._lock_name(lock), cpu)
        return pa

    def _lock_name(self, va: int) -> str:
        own = self._lock_names.get(va)
        return own or (self._kernel.describe(va) if self.loaded.holds(va) else self._world.name(va))

    def _slow_path(self, lock: int) -> None:
        """Take a spin lock in the place of its slow path."""
        actor = self._scheduler.current
        if actor is not None:
            self._locks.take(self._wait_for(lock, actor.cpu))

    def _semaphore(self, va: int, *, acquires: bool, shared: bool) -> None:
        """Acquire or release a rw semaphore, which is a lock of the machine; its count is kept for assertions."""
        lock = self._machine.locks.named(self._lock_name(va))
        side, change = (lock.shared, _READER) if shared else (lock, _WRITER)
        if acquires:
            side.__enter__()
        else:
            side.__exit__()
        count = self._pa(va + self._count)
        memory = self._memory(count)
        memory.write_word(count, memory.read_word(count) + (change if acquires else -change))

    def _complete(self) -> None:
        """Complete the footprint of a step."""
        actor = self._scheduler.current
        if actor is None:
            return
        own = self._accesses[actor.cpu]
        if not own.stores:
            return
        tables = self._translations.tables
        for page in self._translations.update(own.entries):
            self._changed(page, own)
        own.stores.clear()
        own.entries.clear()
        # stores to a new table matter, even where it translates as the entry above did
        self._look_again(self._translations.tables - tables)

    def _freed(self, pfn: int, order: int) -> None:
        self._look_again(range(pfn, pfn + (1 << order)))

    def _look_again(self, frames: Collection[int]) -> None:
        for accesses in self._accesses:
            accesses.look_again(frames)

    def _changed(self, page: int, own: Accesses) -> None:
        token, knowledge = ("translation", page), self.knowledge
        self._scheduler.footprint.writes.add(token)
        own.touched.writes.add(token)
        if page not in knowledge.pages:
            knowledge.growing.pages.add(page)
        if token in knowledge.shared[own.index, True]:
            knowledge.growing.points.update(own.stores)
        for accesses in self._accesses:
            accesses.changed(page)

    # memory

    def _pa(self, va: int) -> int:
        """Return the PA of a VA of the kernel's memory, or of the machine's."""
        if self.loaded.holds(va):
            return self.loaded.pa(va)
        machine, shift = self._machine, self._machine.target.mode.page_shift
        return (int(machine.tables.frames(va, 1)[0]) << shift) + va % (1 << shift)

    def _memory(self, pa: int) -> PhysicalMemory:
        own = self.loaded.memory
        return own if pa >= own.base else self._machine.memory

    def _write_switch(self) -> None:
        """Copy the sysctl to the kernel's variable, within the step that writes it."""
        if self._switch is None:
            return
        self.loaded.write(self._switch, 1, int(vars(self._machine)["optimize_enabled"]))
        if self._scheduler.active:
            self._scheduler.footprint.writes.add(self.loaded.pa(self._switch) >> WORD_SHIFT)


def _names_of_locks(machine: Machine, kernel: Kernel) -> dict[int, str]:
    """Return the names of the locks of init_mm, as the machine has them, by VA."""
    locks, types, mm = machine.locks, kernel.types, kernel.symbols.address("init_mm")
    members = {"mmap_lock": locks.mmap_lock, "page_table_lock": locks.page_table_lock}
    return {mm + types.offset("mm_struct", member): lock.name for member, lock in members.items()}
