# SPDX-License-Identifier: GPL-2.0-only
"""Replacement of live vmemmap entries: by plain stores, or one at a time if the architecture requires that."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryUpdateRule, Target
from hvolab.errors import DescriptionError
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.trace import EntriesStored, EntryLost

Entries = npt.NDArray[np.uint64]
#: Attempts to replace an entry. Kernel: try_update_vmemmap_pte(), series of 2026.
_TRIES = 16


class PlainStores:
    """Stores of whole runs. Kernel: set_pte_at(), v6.12.

    can_fail  an update can be lost to a concurrent one
    """

    can_fail = False

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self._machine = machine
        self._cpu, self._index = cpu, cpu.index
        self._bulk = bulk_of(cpu)
        self._level = machine.target.mode.last.name

    def replace(self, slot: int, va: int, before: Entries, after: Entries) -> int:
        """Replace the run of entries from PA ``slot`` on, which maps ``va``; return how many were replaced: all."""
        self.store(self._level, slot, va, before, after, live=True)
        return after.size

    def replace_one(self, slot: int, va: int, before: int, after: int) -> bool:
        """Replace the entry at PA ``slot``, which maps ``va``; return True."""
        self._cpu.write_entry(self._machine.virt(slot), after)
        if self._machine.trace.listeners:
            old, new = np.array([[before], [after]], dtype=np.uint64)
            self._machine.trace.emit(EntriesStored(self._index, self._level, slot, va, old, new, live=True))
        return True

    def store(self, level: str, slot: int, va: int, before: Entries, after: Entries, *, live: bool) -> None:
        """Store a run of entries of a level from PA ``slot`` on. Kernel: set_pte_at(), pmd_populate_kernel()."""
        self._bulk.write_entries(self._machine.virt(slot), after)
        if self._machine.trace.listeners:
            self._machine.trace.emit(EntriesStored(self._index, level, slot, va, before, after, live))


class ClearAccessedAndExchange:
    """Exchange of entries that no TLB holds.

    An entry whose accessed flag is clear is in no TLB: the flag is cleared by compare-and-swap, the page flushed, and
    the new entry exchanged for the old one unless the flag was set again meanwhile.
    Kernel: try_update_vmemmap_pte(), series of 2026 (not in a release).
    """

    can_fail = True

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self._machine = machine
        self._cpu = cpu
        self._level = machine.target.mode.last
        accessed = machine.target.mmu.accessed
        if accessed is None:
            raise DescriptionError("entries without an accessed flag cannot be replaced by clearing it")
        self._accessed = accessed

    def replace(self, slot: int, va: int, before: Entries, after: Entries) -> int:
        """Replace as :meth:`PlainStores.replace`, up to the first entry that is lost; each attempt reads it again."""
        del before
        page = self._machine.target.mode.page_size
        for position, new in enumerate(after.tolist()):
            if not self.replace_one(slot + position * self._level.entry_bytes, va + position * page, 0, new):
                return position
        return after.size

    def replace_one(self, slot: int, va: int, before: int, after: int) -> bool:
        """Replace the entry at PA ``slot``, which maps ``va``; return False if it is lost."""
        del before  # each attempt reads it again
        machine = self._machine
        if not machine.admit_update(self._cpu, self._level.name, va):
            return False
        for _ in range(_TRIES):
            old = self._cpu.read_entry(machine.virt(slot))
            if self._accessed.accepts(old):
                cleared = old & ~self._accessed.mask
                if not self._exchange(slot, va, old, cleared):
                    continue
                machine.flush_tlb_kernel_range(va, va + machine.target.mode.page_size)
                old = cleared
            if self._exchange(slot, va, old, after):
                return True
        return False

    def _exchange(self, slot: int, va: int, old: int, new: int) -> bool:
        machine = self._machine
        if self._cpu.exchange_entry(machine.virt(slot), old, new) != old:
            if machine.trace.listeners:
                machine.trace.emit(EntryLost(self._cpu.index, self._level.name, va, given_up=False))
            return False
        if machine.trace.listeners:
            before, after = np.array([[old], [new]], dtype=np.uint64)
            machine.trace.emit(EntriesStored(self._cpu.index, self._level.name, slot, va, before, after, live=True))
        return True


#: Replacement of live entries of the last level.
EntryUpdate = PlainStores | ClearAccessedAndExchange


def entry_update(target: Target, machine: Machine, cpu: Cpu) -> EntryUpdate:
    """Return the update of entries by the target's rule."""
    if target.traits.entry_update is EntryUpdateRule.CLEAR_ACCESSED_AND_EXCHANGE:
        return ClearAccessedAndExchange(machine, cpu)
    return PlainStores(machine, cpu)
