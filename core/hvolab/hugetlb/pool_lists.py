# SPDX-License-Identifier: GPL-2.0-only
"""Free lists and counters of one hstate: what hugetlb_lock protects. Kernel: mm/hugetlb.c, v6.12."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Self

from hvolab.hugetlb.folio import FolioPages
from hvolab.hugetlb.hstate import Hstate
from hvolab.hvo import VmemmapOptimizer
from hvolab.machine import Cpu, Machine
from hvolab.machine.struct_pages import lists

#: Folios of a list in any machine: one that repeats a trace has less memory than its folios.
_FEW = 1 << 10


class PoolLists:
    """Free lists and counters of one hstate, as one CPU sees them; callers of its methods hold ``hugetlb_lock``.

    machine, h, hvo  the machine, the hstate, and the HVO engine
    variant          facts of hugetlb's code in the machine's release
    live             folios of the pool, free or in use
    temporaries      number of temporary folios that were freed
    leaked           folios that left the pool and are never freed, because their poisoned pages are not known
    work_lists       VA of the heads of two lists that single operations use
    hugetlb_lock     lock of the lists and counters of all hstates
    resize_lock      lock of changes of the hstate's size
    """

    def __init__(self, machine: Machine, h: Hstate, hvo: VmemmapOptimizer, cpu: Cpu | None = None) -> None:
        self.machine = machine
        self.h = h
        self.hvo = hvo
        self.hugetlb_lock = machine.locks.hugetlb_lock
        self.resize_lock = machine.locks.named(f"resize_lock of order {h.order}")
        self.variant = machine.target.release.hugetlb
        self.cpu = machine.cpus[0] if cpu is None else cpu
        self.folio = FolioPages(machine, self.cpu)
        self.live: set[int] = set()
        self.leaked: set[int] = set()
        self.temporaries = 0
        self._layout = machine.struct_pages.layout
        self._lru = self._layout.lru_next
        self.work_lists = [machine.kernel_data(lists.SIZE) for _ in range(2)]
        #: Folios of a list at most: those that fit into the machine.
        self._most = max(_FEW, machine.memory.size >> h.order + machine.target.mode.page_shift)

    def folios(self, head: int) -> Iterator[int]:
        """Yield the folios of a list; each may be removed meanwhile."""
        return (node - self._lru for node in lists.nodes(self.cpu, head, self._most))

    def free_folios(self) -> Iterator[int]:
        """Yield the folios on the free lists."""
        return chain.from_iterable(map(self.folios, self.h.freelists))

    def enqueue(self, folio: int) -> None:
        """Put a folio on the free list of its node. Kernel: enqueue_hugetlb_folio()."""
        node = self.folio.node(folio)
        lists.move(self.cpu, folio + self._lru, self.h.freelists[node])
        self.h.count(node, free=1)
        self.folio.set_flag(folio, self._layout.hpg_freed, value=True)

    def remove_pool_folio(self, node: int | None, *, surplus: bool = False) -> int | None:
        """Remove the first free folio of the nodes in turn, or of one; a surplus one from nodes that have surplus.

        Kernel: remove_pool_hugetlb_folio(), v6.12.
        """
        nodes = (one for one in self.h.nodes_to("free", node) if not surplus or self.h.surplus_node[one])
        folio = next((folio for one in nodes for folio in self.folios(self.h.freelists[one])), None)
        if folio is not None:
            self.remove(folio, surplus=surplus)
        return folio

    def remove(self, folio: int, *, surplus: bool, demote: bool = False) -> None:
        """Remove a folio from lists and counters. Kernel: remove_hugetlb_folio()."""
        layout, node, frozen = self._layout, self.folio.node(folio), self.variant.stays_frozen
        lists.delete(self.cpu, folio + self._lru)
        if self.folio.flag(folio, layout.hpg_freed):
            self.folio.set_flag(folio, layout.hpg_freed, value=not frozen)
            self.h.count(node, free=-1)
        if surplus:
            self.h.count(node, surplus=-1)
        if not frozen and not demote:
            self.folio.set_refcount(folio, 1)
        if not self.folio.flag(folio, layout.hpg_vmemmap_optimized):
            # an optimized folio keeps its mark until its vmemmap is restored
            self.clear_mark(folio)
        self.h.count(node, nr=-1)

    def add(self, folio: int, *, surplus: bool) -> None:
        """Add a folio again whose vmemmap could not be restored. Kernel: add_hugetlb_folio()."""
        self.folio.init_lru(folio)
        self.h.count(self.folio.node(folio), nr=1, surplus=1 if surplus else 0)
        self.folio.set_hugetlb(folio, hugetlb=True)
        self.folio.set_private(folio, 1 << self._layout.hpg_vmemmap_optimized)
        if not self.variant.stays_frozen:
            self.folio.set_refcount(folio, 0)
        self.enqueue(folio)

    def clear_mark(self, folio: int) -> None:
        """Clear the mark of hugetlb."""
        self.folio.set_hugetlb(folio, hugetlb=False, gigantic=self.h.gigantic)

    def new_list(self, number: int) -> int:
        """Return the VA of one of the pool's two working lists, emptied."""
        lists.init(self.cpu, self.work_lists[number])
        return self.work_lists[number]

    def on(self, cpu: Cpu, hvo: VmemmapOptimizer) -> Self:
        """Return the same pool as another CPU sees it, with an engine and working lists of its own."""
        view = copy.copy(self)
        view.cpu, view.hvo, view.folio = cpu, hvo, FolioPages(self.machine, cpu)
        view.work_lists = [self.machine.kernel_data(lists.SIZE) for _ in self.work_lists]
        return view

    def save(self) -> Callable[[], None]:
        """Save the counters and the sets of folios for a checkpoint; return the function that restores them."""
        counters, live, leaked = _copied(vars(self.h)), set(self.live), set(self.leaked)

        def restore() -> None:
            vars(self.h).update(_copied(counters))
            for now, before in ((self.live, live), (self.leaked, leaked)):
                now.clear()
                now.update(before)

        return restore


def _copied(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values, with copies of those that can change in place."""
    return {name: value.copy() if isinstance(value, list | dict) else value for name, value in values.items()}
