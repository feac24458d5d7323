# SPDX-License-Identifier: GPL-2.0-only
"""Watchpoint that emits an event for each store of a kernel's code to a page table, as the engine does for its own.

Only while the trace has listeners: a hook on stores puts every store of the guest on the emulator's slow path.
"""

from __future__ import annotations

import weakref
from typing import Any, Final

import numpy as np

from hvolab.arch import EntryKind
from hvolab.arithmetic import WORD_BYTES
from hvolab.arrays import consecutive_runs
from hvolab.machine import Machine
from hvolab.release.gfp import Gfp
from hvolab.trace import EntriesStored, Event, PagesAllocated
from hvolab_unicorn.emulator.library import unicorn

#: An address that nothing is stored to.
_UNUSED: Final = (1 << 64) - 1
_ZERO: Final = int(Gfp.ZERO)


def vmemmap_tables(machine: Machine) -> dict[int, tuple[str, int]]:
    """Return level and first VA of each page table that maps the vmemmap, by PFN."""
    mode, pages = machine.target.mode, machine.struct_pages
    return {
        step.slot >> mode.page_shift: (step.level.name, va & -step.level.size * step.level.entries)
        for first, last in machine.vmemmap
        for va in range(pages.va(first), pages.va(last), mode.levels[-2].size)
        for step in machine.tables.walk(va)
    }


class PageTableWatchpoint:
    """Watches stores to the tables that map the vmemmap, and to zeroed frames that may become such a table.

    enabled  True if the current call is watched
    """

    def __init__(self, machine: Machine, uc: Any) -> None:
        self._machine = machine
        self._uc = uc
        self._kind = unicorn().unicorn_const.UC_HOOK_MEM_WRITE
        self._mode = machine.target.mode
        self.enabled = False
        self._base_hook = 0
        self._hooks: list[int] = []
        #: Level and first VA of each table, by PFN.
        self._tables: dict[int, tuple[str, int]] = {}
        #: Entries stored so far in each frame that may become a table, by PFN.
        self._candidates: dict[int, dict[int, int]] = {}

    def begin(self, *, enable: bool) -> None:
        """Enable or disable the watchpoint for the next call; a change drops all translated code."""
        if enable is not self.enabled:
            self.enabled = enable
            if enable:
                # with any hook on stores, they are translated so that more hooks can be added
                self._base_hook = self._hook(_UNUSED, _UNUSED)
            else:
                self._uc.hook_del(self._base_hook)
            self._uc.ctl_flush_tb()
        if not enable:
            return
        levels = {level.name for level in self._mode.levels[-2:]}
        self._tables = {pfn: table for pfn, table in vmemmap_tables(self._machine).items() if table[0] in levels}
        frames = np.array(sorted(self._tables), dtype=np.int64)
        for first, end in zip(*consecutive_runs(frames), strict=True):
            self._watch(int(frames[first]), int(frames[end - 1]))
        self._machine.trace.listeners.append(self._on_event)

    def end(self) -> None:
        """Remove the hooks of the last call."""
        if not self.enabled:
            return
        self._machine.trace.listeners.remove(self._on_event)
        for handle in self._hooks:
            self._uc.hook_del(handle)
        self._hooks.clear()
        self._candidates.clear()

    def _watch(self, first_pfn: int, last_pfn: int) -> None:
        shift = self._mode.page_shift
        self._hooks.append(self._hook(first_pfn << shift, (last_pfn + 1 << shift) - 1))

    def _hook(self, begin: int, end: int) -> int:
        reference = weakref.ref(self)

        def on_store(_: Any, __: int, pa: int, size: int, value: int, ____: object) -> None:
            watchpoint = reference()
            if watchpoint is not None and size == WORD_BYTES:
                watchpoint.on_store(pa, value % (1 << 64))

        uc = self._uc
        handle: int = type(uc).hook_add(weakref.proxy(uc), self._kind, on_store, None, begin, end)
        return handle

    def _on_event(self, event: Event) -> None:
        """Watch a zeroed frame from its allocation on: it may become a table."""
        if isinstance(event, PagesAllocated) and event.gfp & _ZERO and not event.order:
            for pfn in event.pfns.tolist():
                self._candidates[pfn] = {}
                self._watch(pfn, pfn)

    def on_store(self, pa: int, value: int) -> None:
        """Handle a store of one word before it executes."""
        frame, slot = pa >> self._mode.page_shift, pa % self._mode.page_size // WORD_BYTES
        entries = self._candidates.get(frame)
        if entries is not None:
            entries[slot] = value
            return
        table = self._tables.get(frame)
        if table is None:
            return
        name, first = table
        level = self._mode.level(name)
        va = first + slot * level.size
        if level is not self._mode.last:
            self._add_table(name, va, value)
        before = np.array([self._machine.memory.read_entry(pa)], dtype=np.uint64)
        after = np.array([value], dtype=np.uint64)
        self._machine.trace.emit(EntriesStored(0, name, pa, va, before, after, live=True))

    def _add_table(self, name: str, va: int, entry: int) -> None:
        """If the entry for `va` makes a candidate a table, emit the entries stored in it so far."""
        entries, last = self._mode.format, self._mode.last
        if entries.classify(name, entry) is not EntryKind.TABLE:
            return
        pa = entries.form(name, EntryKind.TABLE).get_address(entry)
        frame = pa >> self._mode.page_shift
        stored = self._candidates.pop(frame, None)
        if stored is None:
            return
        self._tables[frame] = (last.name, va)
        raws = np.array([stored.get(slot, 0) for slot in range(last.entries)], dtype=np.uint64)
        self._machine.trace.emit(EntriesStored(0, last.name, pa, va, np.zeros_like(raws), raws, live=False))
