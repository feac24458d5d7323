"""How entries of the vmemmap are replaced: by plain stores, or one at a time where a live entry may not be."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryUpdateRule, Target
from hvolab.errors import DescriptionError
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.trace import EntriesStored

Entries = npt.NDArray[np.uint64]
#: Tries before an entry is given up. Kernel: try_update_vmemmap_pte(), series of 2026.
_TRIES = 16


class EntryUpdate(Protocol):
    """Replaces live entries of the last level.

    can_fail  whether an update can lose against somebody else's
    """

    can_fail: bool

    def replace(self, slot: int, va: int, before: Entries, after: Entries) -> int:
        """Replace the run of entries from PA ``slot`` on, which maps ``va``; gives how many were replaced.

        Fewer than all: the next one was lost to somebody else, and the rest is as it was.
        """
        ...


class PlainStores:
    """Stores the whole run. Kernel: set_pte_at(), v6.12."""

    can_fail = False

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self._machine = machine
        self._index = cpu.index
        self._bulk = bulk_of(cpu)
        self._level = machine.target.mode.last.name

    def replace(self, slot: int, va: int, before: Entries, after: Entries) -> int:
        """Store every entry."""
        self._bulk.write_entries(self._machine.virt(slot), after)
        if self._machine.trace.listeners:
            self._machine.trace.emit(EntriesStored(self._index, self._level, slot, va, before, after, live=True))
        return after.size


class ClearAccessedAndExchange:
    """Takes an entry out of every TLB's reach before it is replaced.

    An entry whose accessed flag is clear is in no TLB: the flag is cleared by compare-and-swap, the page flushed, and
    the new entry exchanged for the old one as long as nobody has set the flag again.
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
        """Replace one entry after the other, up to the first that is lost; each is read again at every try."""
        del before
        page = self._machine.target.mode.page_size
        for position, new in enumerate(after.tolist()):
            if not self._replace_one(slot + position * self._level.entry_bytes, va + position * page, new):
                return position
        return after.size

    def _replace_one(self, slot: int, va: int, new: int) -> bool:
        machine = self._machine
        if not machine.entry_updates.admit(1, 0):
            return False
        for _ in range(_TRIES):
            old = self._cpu.load_word(machine.virt(slot))
            if self._accessed.accepts(old):
                cleared = old & ~self._accessed.mask
                if not self._exchange(slot, va, old, cleared):
                    continue
                machine.flush_tlb_kernel_range(va, va + machine.target.mode.page_size)
                old = cleared
            if self._exchange(slot, va, old, new):
                return True
        return False

    def _exchange(self, slot: int, va: int, old: int, new: int) -> bool:
        machine = self._machine
        if self._cpu.exchange_entry(machine.virt(slot), old, new) != old:
            return False
        if machine.trace.listeners:
            before, after = (np.array([raw], dtype=np.uint64) for raw in (old, new))
            event = EntriesStored(self._cpu.index, self._level.name, slot, va, before, after, live=True)
            machine.trace.emit(event)
        return True


def entry_update(target: Target, machine: Machine, cpu: Cpu) -> EntryUpdate:
    """The way in which the target's kernel replaces entries."""
    if target.traits.entry_update is EntryUpdateRule.CLEAR_ACCESSED_AND_EXCHANGE:
        return ClearAccessedAndExchange(machine, cpu)
    return PlainStores(machine, cpu)
