# SPDX-License-Identifier: GPL-2.0-only
"""CPUs with weak memory: stores that wait in a buffer, and loads that are executed early.

A store buffer has a queue for each frame that is stored to, and an actor for each queue, which writes its first store
to memory. smp_wmb() begins an epoch: no store of an epoch is written before those of the epochs before it. Flushes,
atomic operations, releases of locks, grace periods, and calls of the page allocator wait for the buffer. With total
store order a CPU has one queue. Loads see the stores of their own CPU, page walks do not.
Left out: an atomic operation without order, which waits for its own word alone; a release of a lock that is passed by
the stores after it; CPUs that see the stores of another one in different orders; loads earlier than by one actor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import Access, MemoryOrder
from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Machine
from hvolab.machine.locks import Lock
from hvolab_explorer.steps.actor import Actor, Exhausted
from hvolab_explorer.steps.footprint import Token
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.cpu import ExploredCpu, words_of
from hvolab_explorer.world.oracles import POISONED_WORD

_WRITE = int(Access.WRITE)
_READ = int(Access.READ)
#: Frames that an actor stores to between two waits, at most.
_QUEUES = 12


@dataclass(frozen=True, slots=True)
class _Store:
    """One store in a buffer: its number, its epoch, and what it writes at a PA."""

    number: int
    epoch: int
    pa: int
    data: bytes


class WeakCpu(ExploredCpu):
    """A CPU whose stores wait, and some of whose loads may have been executed early."""

    def __init__(self, machine: Machine, index: int, scheduler: Scheduler, name: Callable[[int], str]) -> None:
        super().__init__(machine, index, scheduler, name)
        self._machine = machine
        architecture = machine.target.architecture
        self._entry_order = architecture.entry_byte_order or architecture.byte_order
        self._total = machine.target.traits.memory_order is MemoryOrder.TSO
        self.begin()

    def begin(self) -> None:
        """Begin a schedule, with nothing in the buffer."""
        self._queues: list[list[_Store]] = [[] for _ in range(1 if self._total else _QUEUES)]
        self._queue_of: dict[int, int] = {}
        self._epoch = self._number = 0
        self._waits: set[Token] = set()
        self._early: dict[int, int] = {}

    # the buffer

    def _put(self, pa: int, data: bytes) -> None:
        """Put a store into the buffer, in the step under way."""
        queue = 0 if self._total else self._queue_of.setdefault(pa >> self._page_shift, len(self._queue_of))
        if queue == len(self._queues):
            raise Exhausted(f"CPU{self.index} stores to more than {_QUEUES} frames before it waits")
        self._number += 1
        self._queues[queue].append(_Store(self._number, self._epoch, pa, data))
        self._waits.add(("drained", self.index, self._epoch))
        self._scheduler.footprint.releases.add(("put", self.index, self._number))

    def _buffers(self) -> bool:
        """Return whether stores go into the buffer: in schedules, but for a free of several steps in one."""
        return self._scheduler.active and not self._scheduler.in_one_step

    def has_pending(self) -> bool:
        """Return whether a store is in the buffer."""
        return any(self._queues)

    def _target(self, va: int) -> int:
        """Return the PA of a store, and record the translation: the store itself comes later."""
        self._size = None
        return self._inner.translate(va, _WRITE)

    def _overlay(self, pa: int, data: bytes) -> bytes:
        """Return the bytes at a PA as this CPU sees them: with its own stores."""
        found = bytearray(data)
        stores = sorted((one for queue in self._queues for one in queue), key=lambda one: one.number)
        for one in stores:
            first, stop = max(pa, one.pa), min(pa + len(data), one.pa + len(one.data))
            if first < stop:
                found[first - pa : stop - pa] = one.data[first - one.pa : stop - one.pa]
        return bytes(found)

    def _may_drain(self, queue: int) -> bool:
        stores = self._queues[queue]
        return bool(stores) and (
            self._total or all(not other or other[0].epoch >= stores[0].epoch for other in self._queues)
        )

    def wait(self) -> None:
        """Wait until every store that was put since the last wait is in memory."""
        if not self._waits or not self._scheduler.active:
            return
        waits, self._waits = frozenset(self._waits), set()
        self._scheduler.point(f"wait for the stores of CPU{self.index}", lambda: not any(self._queues))
        self._scheduler.footprint.awaits.update(waits)

    def drains(self, first: int) -> list[Actor]:
        """Return the actors of the queues, numbered from ``first`` on."""
        return [
            Actor(
                first + queue, f"store buffer {queue} of CPU{self.index}", self._drain(queue), self.index, endless=True
            )
            for queue in range(len(self._queues))
        ]

    def _drain(self, queue: int) -> Callable[[], None]:
        def body() -> None:
            footprint = self._scheduler.footprint
            while True:
                self._scheduler.point(f"CPU{self.index} writes a store to memory", lambda: self._may_drain(queue))
                one = self._queues[queue].pop(0)
                footprint.awaits.update([("put", self.index, one.number)])
                footprint.awaits.update(("drained", self.index, epoch) for epoch in range(one.epoch))
                footprint.releases.add(("drained", self.index, one.epoch))
                footprint.writes.update(words_of(one.pa, len(one.data)))
                self._machine.memory.view(one.pa, len(one.data))[:] = np.frombuffer(one.data, np.uint8)

        return body

    # loads

    def _loaded(self, va: int, size: int, text: str) -> bytes:
        self._step(text, size)
        data = self._inner.load(va, size)
        assert self._translated is not None  # noqa: S101 - the load has set it
        return self._overlay(self._translated.pa, data)

    def load(self, va: int, size: int) -> bytes:
        """Load in one step."""
        if not self._buffers():
            return super().load(va, size)
        return self._loaded(va, size, f"load {size} bytes at {self._name(va)}")

    def load_word(self, va: int) -> int:
        """Load in one step: what memory and the buffer have, or what was loaded early."""
        if not self._buffers():
            return super().load_word(va)
        order = self._machine.target.architecture.byte_order
        value = int.from_bytes(self._loaded(va, WORD_BYTES, f"load {self._name(va)}"), order)
        self._scheduler.footprint.reads.add(("early", self.index))
        early = self._early.pop(va, None)
        if early is not None and self._scheduler.alternative(2, f"load {self._name(va)} was early"):
            value = early
        if value == POISONED_WORD:
            self._scheduler.report(f"CPU{self.index} loads what is not written yet at {self._name(va)}")
        return value

    def read_entry(self, slot_va: int) -> int:
        """Load an entry in one step."""
        if not self._buffers():
            return super().read_entry(slot_va)
        data = self._loaded(slot_va, WORD_BYTES, f"load {self._name(slot_va)}")
        return int.from_bytes(data, self._entry_order)

    def load_early(self, va: int) -> None:
        """Execute the load of a word before its turn."""
        self._step(f"CPU{self.index} loads {self._name(va)} early")
        value = self._inner.load_word(va)
        self._scheduler.footprint.writes.add(("early", self.index))
        self._early[va] = value

    def acquire(self) -> None:
        """Drop what was loaded early."""
        self._scheduler.footprint.writes.add(("early", self.index))
        self._early.clear()

    # stores

    def store(self, va: int, data: bytes) -> None:
        """Put a store into the buffer in one step."""
        if not self._buffers():
            super().store(va, data)
            return
        self._scheduler.point(f"store {len(data)} bytes at {self._name(va)}, into the buffer")
        self._put(self._target(va), data)

    def store_word(self, va: int, value: int) -> None:
        """Put a store into the buffer in one step."""
        if not self._buffers():
            super().store_word(va, value)
            return
        self.store(va, value.to_bytes(WORD_BYTES, self._machine.target.architecture.byte_order))

    def copy_page(self, to_va: int, from_va: int) -> None:
        """Load a page and put it into the buffer, in one step."""
        if not self._buffers():
            super().copy_page(to_va, from_va)
            return
        size = self._page_size
        data = self._loaded(from_va, size, f"copy page {self._name(from_va)} to {self._name(to_va)}, into the buffer")
        self._put(self._target(to_va), data)

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Put an entry into the buffer in one step."""
        if not self._buffers():
            super().write_entry(slot_va, raw)
            return
        self._scheduler.point(f"set entry {self._name(slot_va)}, into the buffer")
        self._watch_entry(slot_va, raw)
        self._put(self._target(slot_va), raw.to_bytes(WORD_BYTES, self._entry_order))

    def write_entries(self, slot_va: int, raws: npt.NDArray[np.uint64]) -> None:
        """Put a whole table into the buffer in one step, single entries one by one."""
        if not self._buffers() or raws.size < self._table_entries:
            super().write_entries(slot_va, raws)
            return
        self._scheduler.point(f"fill table {self._name(slot_va)}, into the buffer")
        for watch in self.entry_watches:
            watch.filled(slot_va, raws)
        order = {"little": "<u8", "big": ">u8"}[self._entry_order]
        self._put(self._target(slot_va), raws.astype(order).tobytes())

    # what waits for the buffer

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Compare and swap in one step, once the buffer is empty; nothing is loaded before it."""
        self.wait()
        found = super().compare_and_swap(va, old, new)
        self.acquire()
        return found

    def change_bits(self, va: int, *, set_bits: int = 0, clear_bits: int = 0) -> int:
        """Change bits in one step, once the buffer is empty."""
        self.wait()
        return super().change_bits(va, set_bits=set_bits, clear_bits=clear_bits)

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Exchange an entry in one step, once the buffer is empty."""
        self.wait()
        return super().exchange_entry(slot_va, old, new)

    def barrier(self, kind: str) -> None:
        """Begin an epoch at smp_wmb()."""
        super().barrier(kind)
        if kind == "smp_wmb":
            self.begin_epoch()

    def begin_epoch(self) -> None:
        """Let no store from here on be written before those that are in the buffer."""
        self._epoch += 1


class WeakLocks:
    """Scheduler of locks for CPUs with store buffers: what releases a lock waits for its CPU's stores."""

    def __init__(self, scheduler: Scheduler, cpus: Iterable[WeakCpu]) -> None:
        self._scheduler = scheduler
        self._cpus = {cpu.index: cpu for cpu in cpus}

    def wait(self) -> None:
        """Wait for the stores of the CPU under way."""
        actor = self._scheduler.current
        if actor is not None and actor.cpu in self._cpus:
            self._cpus[actor.cpu].wait()

    def _acquired(self) -> None:
        actor = self._scheduler.current
        if actor is not None and actor.cpu in self._cpus and self._scheduler.active:
            self._cpus[actor.cpu].acquire()

    def acquire(self, lock: Lock, *, shared: bool) -> None:
        """Acquire a lock; nothing is loaded before it."""
        self._scheduler.acquire(lock, shared=shared)
        self._acquired()

    def release(self, lock: Lock, *, shared: bool) -> None:
        """Release a lock after the stores before it."""
        self.wait()
        self._scheduler.release(lock, shared=shared)

    def rcu_read_lock(self) -> None:
        """Begin a read-side critical section."""
        self._scheduler.rcu_read_lock()

    def rcu_read_unlock(self) -> None:
        """End the section that was begun last, after the stores in it."""
        self.wait()
        self._scheduler.rcu_read_unlock()

    def synchronize_rcu(self) -> None:
        """Wait for the stores, and for the sections that have begun."""
        self.wait()
        self._scheduler.synchronize_rcu()
        self._acquired()
