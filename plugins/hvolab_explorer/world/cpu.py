# SPDX-License-Identifier: GPL-2.0-only
"""A CPU each of whose operations is one step, with a footprint."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.machine import Machine
from hvolab.machine.cpus.observed import ObservedCpu, Translated
from hvolab.machine.memory.tables import PageTables
from hvolab_explorer.steps.footprint import Token
from hvolab_explorer.steps.scheduler import Scheduler

#: Called with each translation of an access, in the step of the access.
Watch = Callable[[Translated], None]


class EntryWatch(Protocol):
    """Watches stores of entries, in their steps."""

    def __call__(self, slot_va: int, raw: int) -> None:
        """Handle an entry that is stored to the slot at a VA."""

    def filled(self, table_va: int, raws: npt.NDArray[np.uint64]) -> None:
        """Handle the entries of a new table at a VA."""


@lru_cache(maxsize=4096)
def words_of(pa: int, size: int) -> frozenset[int]:
    """Return the tokens of the words of ``[pa, pa + size)``."""
    return frozenset(range(pa >> WORD_SHIFT, (pa + size - 1 >> WORD_SHIFT) + 1))


@lru_cache(maxsize=4096)
def _tlb_entries(cpu: int, shifts: tuple[int, ...], start: int, end: int) -> frozenset[Token]:
    """Return the tokens of all TLB entries that may map a part of ``[start, end)``."""
    return frozenset(
        ("tlb", cpu, shift, number) for shift in shifts for number in range(start >> shift, (end - 1 >> shift) + 1)
    )


class ExploredCpu:
    """Announces each operation to a scheduler, and passes it on to a modeled CPU.

    Accesses of the direct map have no footprint of TLB entries: its tables never change. A whole new table is stored
    in one step, as no other CPU has its address yet. Barriers are no steps: accesses are sequentially consistent.
    It has no bulk operations but those that read and fill tables, so the engine works entry by entry.

    watches   called with each translation, but for those of steps that are repeated
    flushing  called within each step that flushes this CPU's TLB
    """

    def __init__(self, machine: Machine, index: int, scheduler: Scheduler, name: Callable[[int], str]) -> None:
        self.index = index
        self.watches: list[Watch] = []
        self.entry_watches: list[EntryWatch] = []
        self.flushing: list[Callable[[], None]] = []
        self._inner = ObservedCpu(index, machine.memory, machine.tables, machine.trace, observer=self._observe)
        self._scheduler = scheduler
        self._name = name
        mode = machine.target.mode
        self._virt = machine.virt
        self._direct_map = (machine.virt(machine.memory.base), machine.virt(machine.memory.base + machine.memory.size))
        self._page_shift, self._page_size = mode.page_shift, mode.page_size
        self._shifts = [level.shift for level in mode.levels if mode.format.leaf_form(level.name)]
        self._table_entries = mode.last.entries
        self._upper_levels = len(mode.levels) - 2
        self._middle, self._last = mode.levels[-2:]
        #: Slots of the last level but one, by the number of their entry from VA 0 on.
        self._slots: dict[int, int] = {}
        #: Bytes of each access of the step under way; None: it makes no access, and records translations.
        self._size: int | None = WORD_BYTES
        self._translated: Translated | None = None

    # footprints

    def _observe(self, translated: Translated) -> None:
        """Record a translation, and the access that follows."""
        self._translated, scheduler = translated, self._scheduler
        if scheduler.repeating:
            return
        scheduler.footprint.touches.append((self._record, translated, self._size))
        for watch in self.watches:
            watch(translated)

    def _step(self, text: str, size: int = WORD_BYTES) -> None:
        """Wait for the step; each of its accesses touches ``size`` bytes, or those up to the end of its page."""
        self._scheduler.point(text)
        self._size = size

    def _record(self, translated: Translated, size: int | None) -> None:
        """Add the tokens of an access."""
        footprint, pa, va = self._scheduler.footprint, translated.pa, translated.va
        first, stop = self._direct_map
        if not first <= va < stop:
            self._record_tlb(translated)
        if pa and size is not None:
            part = min(size, self._page_size - pa % self._page_size)
            (footprint.writes if translated.stores else footprint.reads).update(words_of(pa, part))
            footprint.reads.add(("frame", pa >> self._page_shift))

    def _record_tlb(self, translated: Translated) -> None:
        """Add the TLB entry that was used or filled, those whose absence mattered, and the walk.

        A page that hits depends on its own entry alone. A flush changes the absence of an entry only if it removes one:
        absence has tokens of its own.
        """
        footprint, cpu, va = self._scheduler.footprint, self.index, translated.va
        footprint.reads.add(("flushed", cpu))
        if translated.shift:
            footprint.reads.add(("tlb", cpu, translated.shift, va >> translated.shift))
        if translated.walked or translated.shift != self._page_shift:
            footprint.reads.update(("absent", cpu, shift, va >> shift) for shift in self._shifts)
        if translated.walked:
            tokens = [(kind, cpu, shift, va >> shift) for kind in ("tlb", "absent") for shift in self._shifts]
            filled = [token for token in tokens if token[2] == translated.shift]
            footprint.writes.update(filled)
            footprint.reads.update(slot >> WORD_SHIFT for slot in translated.walked)
            footprint.writes.update(slot >> WORD_SHIFT for slot in translated.changed)

    def _flush(self, start: int, end: int) -> None:
        """Record a flush of ``[start, end)`` in the step under way."""
        if not self._scheduler.repeating:
            cached = tuple(self._inner.cached_in(start, end))
            self._scheduler.footprint.touches.append((self._record_flush, start, end, cached))

    def _record_flush(self, start: int, end: int, cached: tuple[tuple[int, int], ...]) -> None:
        """Add the tokens of a flush: of all entries that may be there, and of those that are."""
        adds = self._scheduler.footprint.adds
        adds.update(_tlb_entries(self.index, tuple(self._shifts), start, end))
        adds.update(("absent", self.index, shift, number) for shift, number in cached)

    # loads and stores

    def load(self, va: int, size: int) -> bytes:
        """Load in one step."""
        self._step(f"load {size} bytes at {self._name(va)}", size)
        return self._inner.load(va, size)

    def store(self, va: int, data: bytes) -> None:
        """Store in one step."""
        self._step(f"store {len(data)} bytes at {self._name(va)}", len(data))
        self._inner.store(va, data)

    def load_word(self, va: int) -> int:
        """Load in one step."""
        self._step(f"load {self._name(va)}")
        return self._inner.load_word(va)

    def store_word(self, va: int, value: int) -> None:
        """Store in one step."""
        self._step(f"store {self._name(va)}")
        self._inner.store_word(va, value)

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Compare and swap in one step."""
        self._step(f"cmpxchg {self._name(va)}")
        return self._inner.compare_and_swap(va, old, new)

    def change_bits(self, va: int, *, set_bits: int = 0, clear_bits: int = 0) -> int:
        """Change bits in one step."""
        self._step(f"{'set' if set_bits else 'clear'}_bit {self._name(va)}")
        return self._inner.change_bits(va, set_bits=set_bits, clear_bits=clear_bits)

    def fetch(self, va: int) -> None:
        """Fetch in one step."""
        self._step(f"fetch {self._name(va)}")
        self._inner.fetch(va)

    def copy_page(self, to_va: int, from_va: int) -> None:
        """Copy in one step."""
        self._step(f"copy page {self._name(from_va)} to {self._name(to_va)}", self._page_size)
        self._inner.copy_page(to_va, from_va)

    # page tables

    def find_entry(self, tables: PageTables, va: int) -> tuple[int, int, int]:
        """Walk by one step for each of the two last levels; those above never change."""
        first = va >> self._middle.shift
        slot = self._slots.get(first)
        if slot is None:
            steps = tables.walk(va)
            if len(steps) <= self._upper_levels:
                return len(steps) - 1, steps[-1].slot, steps[-1].raw
            slot = self._slots[first] = steps[self._upper_levels].slot
        raw = self.read_entry(self._virt(slot))
        table = tables.table_of(self._upper_levels, raw)
        if table is None:
            return self._upper_levels, slot, raw
        slot = table + self._last.index(va) * WORD_BYTES
        return self._upper_levels + 1, slot, self.read_entry(self._virt(slot))

    def read_entry(self, slot_va: int) -> int:
        """Load an entry in one step."""
        self._step(f"load {self._name(slot_va)}")
        return self._inner.read_entry(slot_va)

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Store an entry in one step."""
        self._step(f"set entry {self._name(slot_va)}")
        self._watch_entry(slot_va, raw)
        self._inner.write_entry(slot_va, raw)

    def write_entries(self, slot_va: int, raws: npt.NDArray[np.uint64]) -> None:
        """Store a whole table in one step, single entries one by one."""
        if raws.size < self._table_entries:
            for position, raw in enumerate(raws.tolist()):
                self.write_entry(slot_va + position * WORD_BYTES, raw)
            return
        self._step(f"fill table {self._name(slot_va)}", raws.size * WORD_BYTES)
        if not self._scheduler.repeating:  # a table's own entries add no table
            for watch in self.entry_watches:
                watch.filled(slot_va, raws)
        self._inner.write_entries(slot_va, raws)

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Exchange an entry in one step."""
        self._step(f"exchange entry {self._name(slot_va)}")
        self._watch_entry(slot_va, new)
        return self._inner.exchange_entry(slot_va, old, new)

    def _watch_entry(self, slot_va: int, raw: int) -> None:
        for watch in self.entry_watches:
            watch(slot_va, raw)

    # flushes and barriers

    def flush_range(self, start: int, end: int) -> None:
        """Flush a range of this CPU's TLB in one step; two flushes commute."""
        self._scheduler.point(f"flush {self._name(start)}.. on CPU{self.index}")
        self._flush(start, end)
        self._inner.flush_range(start, end)
        self._flush_others()

    def flush_all(self) -> None:
        """Flush this CPU's TLB in one step."""
        self._scheduler.point(f"flush all on CPU{self.index}")
        self._scheduler.footprint.adds.add(("flushed", self.index))
        self._inner.flush_all()
        self._flush_others()

    def _flush_others(self) -> None:
        for flush in self.flushing:
            flush()

    def barrier(self, kind: str) -> None:
        """Pass it on: no step."""
        self._inner.barrier(kind)

    def acquire(self) -> None:
        """Let no load come before the last one: nothing to do, as all are in order."""

    def walk_ahead(self, va: int) -> None:
        """Fill the TLB for a load at ``va`` without loading, as hardware may at any time."""
        self._step(f"CPU{self.index} walks {self._name(va)} ahead", 0)
        self._inner.translate(va, 1)

    def save(self) -> Callable[[], None]:
        """Save the TLB; return the function that restores it."""
        return self._inner.save()

    def cached_translations(self) -> npt.NDArray[np.uint64] | None:
        """Return the contents of the TLB."""
        return self._inner.cached_translations()
