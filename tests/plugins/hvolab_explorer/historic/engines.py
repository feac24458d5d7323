# SPDX-License-Identifier: GPL-2.0-only
"""Engines with a historic fix taken out, and the makers of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from hvolab.arch import EntryKind
from hvolab.hvo import Hvo
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.remap import VmemmapRemap
from hvolab.hvo.restore import TailRestorer
from hvolab.hvo.sizes import HasOrder
from hvolab.hvo.update import PlainStores
from hvolab.hvo.walk import SYNCHRONIZE_RCU, RemapWalk, VmemmapWalker
from hvolab.release.gfp import Gfp
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_explorer.world.machine import ExploredMachine
from hvolab_explorer.world.world import EngineOfCpu


def changed(change: Callable[[Hvo], None]) -> EngineOfCpu:
    """An engine that ``change`` changes after it is made."""

    def make(machine: ExploredMachine, cpu: ExploredCpu) -> Hvo:
        hvo = Hvo(machine, cpu)
        change(hvo)
        return hvo

    return make


def with_walker(kind: type[VmemmapWalker]) -> EngineOfCpu:
    """An engine with another walker."""

    def change(hvo: Hvo) -> None:
        remap = hvo.remap
        remap._walker = kind(hvo.machine, hvo.cpu, hvo.variant, remap._update)

    return changed(change)


def with_variant(**facts: Any) -> EngineOfCpu:
    """An engine whose ranges are remapped and restored as by a variant with other facts."""

    def change(hvo: Hvo) -> None:
        hvo.remap.variant = hvo.remap._restore._variant = replace(hvo.variant, **facts)

    return changed(change)


class WithoutRecheck(VmemmapWalker):
    """B01: a PMD is replaced by a table without looking whether another CPU has done so."""

    def _is_leaf(self, raw: int) -> bool:
        return True if self._populating else super()._is_leaf(raw)

    _populating = False

    def _populate(self, va: int, head: int, slot: int, table: int, walk: RemapWalk) -> int:
        self._populating = True
        try:
            return super()._populate(va, head, slot, table, walk)
        finally:
            self._populating = False


class ReadTwice(VmemmapWalker):
    """B06: the frame is read from the PMD after the test for a leaf, and without the lock."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._page_table_lock = nullcontext()  # type: ignore[assignment]

    def _populate(self, va: int, head: int, slot: int, table: int, walk: RemapWalk) -> int:
        with self._machine.locks.page_table_lock:
            return super()._populate(va, head, slot, table, walk)

    def _find_entry(self, va: int) -> tuple[int, int, int | None]:
        slot, pfn, head = super()._find_entry(va)
        if head is None:
            return slot, pfn, None
        form = self._mode.format.form(self._middle.name, EntryKind.LEAF)
        head = form.get_address(self._cpu.load_word(self._machine.virt(slot))) >> self._page_shift
        return slot, head + self._last.index(va), head


class LateFlag(Hvo):
    """B14: the flag is set after the remap, through a stale translation."""

    def _remap(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        self._count_folio(1)
        result = self.remap.free(folio, folio + self.sizes(h).size, pages, flags, None)
        self._set_optimized(folio, optimized=True)
        return result


class WithoutGracePeriod(Hvo):
    """B24: entries change without a grace period."""

    def __init__(self, machine: ExploredMachine, cpu: ExploredCpu) -> None:
        super().__init__(machine, cpu)
        self._rcu = 0


class WaitsFirst(Hvo):
    """B25: a grace period passes before anything says that there is something to optimize."""

    def _optimize(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        if flags & SYNCHRONIZE_RCU:
            self.machine.synchronize_rcu()
        return super()._optimize(h, folio, pages, flags & ~SYNCHRONIZE_RCU)


class CountsFirst(VmemmapRemap):
    """B22: pages are counted before they are allocated."""

    def _alloc_page_list(self, start: int, end: int, pages: VmemmapPageAllocator) -> bool:
        self._count((end - start) >> self._page_shift)
        allocated = super()._alloc_page_list(start, end, pages)
        if allocated:
            self._count((start - end) >> self._page_shift)
        return allocated


class ClearsFlag(Hvo):
    """B36: the flag is cleared although the rollback of an optimization has failed too."""

    def _remap(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        result = super()._remap(h, folio, pages, flags)
        if result > 0:
            self._count_folio(-1)
            self._set_optimized(folio, optimized=False)
        return result


def counts_first(hvo: Hvo) -> None:
    """B22."""
    hvo.remap = CountsFirst(hvo.machine, hvo.cpu, hvo.variant)


def stores_plainly(hvo: Hvo) -> None:
    """B03: live entries are replaced by plain stores."""
    remap, update = hvo.remap, PlainStores(hvo.machine, hvo.cpu)
    remap._update = update
    remap._restore = TailRestorer(hvo.machine, hvo.cpu, hvo.variant, update)
    remap._walker = VmemmapWalker(hvo.machine, hvo.cpu, hvo.variant, update)


def resets_too_few(hvo: Hvo) -> None:
    """B30: fewer struct pages of a restored page are reset than hugetlb uses."""
    hvo.remap._restore._reset_size = hvo.machine.struct_pages.layout.size * 2


def restores_on_node(hvo: Hvo) -> None:
    """B11: pages of a restored folio must come from its node."""
    hvo.remap.variant = replace(hvo.variant, restore_gfp=hvo.variant.restore_gfp | int(Gfp.THISNODE))


def allocates_head_on_node(hvo: Hvo) -> None:
    """B12: the new head page must come from the folio's node."""
    hvo.remap.variant = replace(hvo.variant, head_gfp=(hvo.variant.head_gfp or 0) | int(Gfp.THISNODE))
