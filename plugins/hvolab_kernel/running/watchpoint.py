"""Tells a machine's listeners what a kernel's code stores in page tables, as the engine tells it of itself.

Only where somebody listens: with a hook on stores every store of the guest takes the emulator's slow path.
"""

from __future__ import annotations

import weakref
from typing import Any, Final

import numpy as np

from hvolab.arch import EntryKind
from hvolab.machine import Machine
from hvolab.machine.frames.gfp import Gfp
from hvolab.trace import EntriesStored, Event, PagesAllocated
from hvolab_unicorn.emulator.library import unicorn

_WORD: Final = 8
_NOWHERE: Final = (1 << 64) - 1
_ZERO: Final = int(Gfp.ZERO)


class PageTableWatchpoint:
    """Hears each store to a table that maps the vmemmap, and to frames that are about to become one.

    on  whether it is watching
    """

    def __init__(self, machine: Machine, uc: Any) -> None:
        self._machine = machine
        self._uc = uc
        self._kind = unicorn().unicorn_const.UC_HOOK_MEM_WRITE
        self._mode = machine.target.mode
        self._base_hook: int | None = None
        self._hooks: list[int] = []
        #: Level and first VA of each table, by PFN.
        self._tables: dict[int, tuple[str, int]] = {}
        #: Entries of frames that may become a table: what was stored, by PFN.
        self._filled: dict[int, dict[int, int]] = {}

    @property
    def on(self) -> bool:
        """Whether it is watching."""
        return self._base_hook is not None

    def begin(self, *, wanted: bool) -> None:
        """Before a call: watch, or stop watching. Code that was translated for the other way is forgotten."""
        if wanted is not self.on:
            if wanted:
                # of an address that nothing is stored to: stores are translated so that hooks can be added
                self._base_hook = self._hook(_NOWHERE, _NOWHERE)
            elif self._base_hook is not None:
                self._uc.hook_del(self._base_hook)
                self._base_hook = None
            self._uc.ctl_flush_tb()
        if not wanted:
            return
        self._find_tables()
        frames = sorted(self._tables)
        start = 0
        for position, frame in enumerate(frames):
            if position + 1 == len(frames) or frames[position + 1] != frame + 1:
                self._watch(frames[start], frame)
                start = position + 1
        self._machine.trace.listeners.append(self._hear)

    def end(self) -> None:
        """After a call."""
        if not self.on:
            return
        self._machine.trace.listeners.remove(self._hear)
        for handle in self._hooks:
            self._uc.hook_del(handle)
        self._hooks.clear()
        self._filled.clear()

    def _find_tables(self) -> None:
        """The tables of the two last levels that map the vmemmap."""
        machine, mode = self._machine, self._mode
        pages = machine.struct_pages
        self._tables.clear()
        levels = {mode.levels[-2].name, mode.last.name}
        for first, last in machine.vmemmap:
            for va in range(pages.va(first), pages.va(last), mode.levels[-2].size):
                for step in machine.tables.walk(va):
                    if step.level.name in levels:
                        covered = step.level.size * step.level.entries
                        self._tables[step.slot >> mode.page_shift] = (step.level.name, va & -covered)

    def _watch(self, first: int, last: int) -> None:
        shift = self._mode.page_shift
        self._hooks.append(self._hook(first << shift, (last + 1 << shift) - 1))

    def _hook(self, begin: int, end: int) -> int:
        own = weakref.ref(self)

        def stored(_: Any, __: int, pa: int, size: int, value: int, ____: object) -> None:
            watch = own()
            if watch is not None and size == _WORD:
                watch.stored(pa, value % (1 << 64))

        uc = self._uc
        handle: int = type(uc).hook_add(weakref.proxy(uc), self._kind, stored, None, begin, end)
        return handle

    def _hear(self, event: Event) -> None:
        """Watch a zeroed frame that is handed out: it may become a table."""
        if isinstance(event, PagesAllocated) and event.gfp & _ZERO and not event.order:
            for pfn in event.pfns.tolist():
                self._filled[pfn] = {}
                self._watch(pfn, pfn)

    def stored(self, pa: int, value: int) -> None:
        """Hear of a store of one word, before it is done."""
        frame, slot = pa >> self._mode.page_shift, pa % self._mode.page_size // _WORD
        filled = self._filled.get(frame)
        if filled is not None:
            filled[slot] = value
            return
        known = self._tables.get(frame)
        if known is None:
            return
        name, first = known
        level = self._mode.level(name)
        va = first + slot * level.size
        if level is not self._mode.last:
            self._adopt(name, va, value)
        before = np.array([self._machine.memory.read_word(pa)], dtype=np.uint64)
        self._emit(name, pa, va, before, np.array([value], dtype=np.uint64), live=True)

    def _adopt(self, name: str, va: int, value: int) -> None:
        """Tell of the entries in a frame that the entry at ``va`` makes a table."""
        entries, last = self._mode.format, self._mode.last
        if entries.classify(name, value) is not EntryKind.TABLE:
            return
        pa = entries.form(name, EntryKind.TABLE).get_address(value)
        frame = pa >> self._mode.page_shift
        filled = self._filled.pop(frame, None)
        if filled is None:
            return
        self._tables[frame] = (last.name, va)
        raws = np.array([filled.get(slot, 0) for slot in range(last.entries)], dtype=np.uint64)
        self._emit(last.name, pa, va, np.zeros_like(raws), raws, live=False)

    def _emit(self, level: str, pa: int, va: int, before: Any, after: Any, *, live: bool) -> None:
        self._machine.trace.emit(EntriesStored(0, level, pa, va, before, after, live))
