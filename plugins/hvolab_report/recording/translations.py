# SPDX-License-Identifier: GPL-2.0-only
"""Contents of a machine's TLBs, followed from step to step, and which translations are stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hvolab.errors import HvolabError
from hvolab.machine import Cpu, Machine
from hvolab.machine.cpus.model_cpu import ModelCpu
from hvolab.trace import AllFlushed, Batch, EntriesStored, Event, RangeFlushed

#: First VA and number of pages of a translation.
_Key = tuple[int, int]
#: Events after which a TLB is read whole: flushes, and the ends of batches, which are few.
_REMOVING = (AllFlushed, RangeFlushed, Batch)


@dataclass(frozen=True, slots=True)
class TlbChange:
    """A translation that a TLB has gained, lost, or that has become stale or valid.

    cpu        number of the CPU
    va, pages  what it maps, in base pages
    pfn        first PFN that it maps to
    held       whether the TLB has it; False: it was flushed or dropped
    stale      whether the page tables now map a page of it elsewhere, or not at all
    """

    cpu: int
    va: int
    pages: int
    pfn: int
    held: bool
    stale: bool


def described_frames(machine: Machine) -> Sequence[tuple[int, int]]:
    """Return the frames that struct pages describe, as first PFN and end; of a memory core all of its memory."""
    memory = machine.memory
    return machine.vmemmap or [(memory.first_pfn, memory.first_pfn + memory.frames)]


class TlbFollower:
    """Follows the TLBs of a machine, and returns what changed since the event before.

    unknown  numbers of the CPUs that cannot report their TLB
    stale    number of stale translations in all TLBs

    A CPU that reports what its TLB takes up is read whole only after events that remove translations.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._page_size = machine.target.mode.page_size
        self._sizes = {level.size // self._page_size for level in machine.target.mode.levels}
        size = machine.struct_pages.layout.size
        self._vmemmap = [
            (machine.struct_pages.va(first), machine.struct_pages.va(first) + (end - first) * size)
            for first, end in described_frames(machine)
        ]
        self._held: dict[int, dict[_Key, tuple[int, bool]]] = {}
        self._filled: dict[int, list[tuple[int, int, int]]] = {}
        self._notes: dict[int, Callable[[int, int, int], None]] = {}
        self.unknown: set[int] = set()
        self.stale = 0
        for cpu in machine.cpus:
            if isinstance(cpu, ModelCpu) and cpu.tlb_capacity is None:
                filled = self._filled[cpu.index] = []
                self._notes[cpu.index] = partial(_note, filled)
                cpu.fill_listeners.append(self._notes[cpu.index])

    def changes(self, event: Event) -> tuple[TlbChange, ...]:
        """Return the changes since the last call; ``event`` is what happened."""
        found: list[TlbChange] = []
        for cpu in self._machine.cpus:
            filled = self._filled.get(cpu.index)
            if filled is None or isinstance(event, _REMOVING):
                self._read(cpu, found)
            elif filled:
                for va, pfn, pages in filled:
                    self._put(cpu.index, (va, pages), pfn, found)
            if filled:
                filled.clear()
            if isinstance(event, EntriesStored) and event.live:
                self._stored(cpu.index, event, found)
        return tuple(found)

    def close(self) -> None:
        """Stop following."""
        for cpu in self._machine.cpus:
            if isinstance(cpu, ModelCpu) and (note := self._notes.get(cpu.index)) in cpu.fill_listeners:
                cpu.fill_listeners.remove(note)

    def _read(self, cpu: Cpu, found: list[TlbChange]) -> None:
        """Compare a whole TLB with what it held."""
        rows = cpu.cached_translations()
        if rows is None:
            self.unknown.add(cpu.index)
            return
        held = self._held.setdefault(cpu.index, {})
        now = {(va, pages): pfn for va, pfn, pages in rows.tolist()}
        for key in [key for key in held if key not in now]:
            pfn, stale = held.pop(key)
            self.stale -= stale
            found.append(TlbChange(cpu.index, *key, pfn, held=False, stale=False))
        for key, pfn in now.items():
            if key not in held or held[key][0] != pfn:
                self._put(cpu.index, key, pfn, found)

    def _stored(self, cpu: int, event: EntriesStored, found: list[TlbChange]) -> None:
        """Look again at the translations of VAs whose entries were stored."""
        held = self._held.get(cpu, {})
        end = event.va + event.after.size * self._machine.target.mode.level(event.level).size
        for pages in self._sizes:
            size = pages * self._page_size
            first = event.va // size * size
            vas = range(first, end, size)
            keys = [(va, pages) for va in vas if (va, pages) in held] if len(vas) <= len(held) else [*held]
            for key in keys:
                pfn, stale = held[key]
                if key[1] == pages and key[0] in vas and self._is_stale(key, pfn) != stale:
                    self._put(cpu, key, pfn, found)

    def _put(self, cpu: int, key: _Key, pfn: int, found: list[TlbChange]) -> None:
        """Add or change a translation."""
        held = self._held.setdefault(cpu, {})
        stale, before = self._is_stale(key, pfn), held.get(key)
        if before == (pfn, stale):
            return
        self.stale += stale - (before is not None and before[1])
        held[key] = pfn, stale
        found.append(TlbChange(cpu, *key, pfn, held=True, stale=stale))

    def _is_stale(self, key: _Key, pfn: int) -> bool:
        """Return whether the page tables map a page of a translation elsewhere; those of the direct map stay."""
        va, pages = key
        if not any(start < va + pages * self._page_size and va < end for start, end in self._vmemmap):
            return False
        try:
            frames = self._machine.tables.frames(va, pages)
        except HvolabError:
            return True
        return bool((frames != np.arange(pfn, pfn + pages)).any())


def _note(filled: list[tuple[int, int, int]], va: int, pfn: int, pages: int) -> None:
    filled.append((va, pfn, pages))
