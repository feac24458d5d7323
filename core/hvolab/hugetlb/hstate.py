# SPDX-License-Identifier: GPL-2.0-only
"""Hstate: one huge page size with its counters and free lists. Kernel: struct hstate, v6.12."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hvolab.arch import HugePageSize, PagingMode
from hvolab.machine import Machine
from hvolab.machine.struct_pages import lists

#: The largest unsigned long, as a limit that is never reached.
NO_LIMIT: Final = (1 << 64) - 1


@dataclass
class Hstate:
    """One huge page size of a machine.

    huge_page            the size, as the architecture declares it
    order                log2 of its base pages
    gigantic             it is larger than the largest block of the page allocator
    freelists            VA of the list head of free folios, for each node
    nr, free, surplus    folios in the pool, free ones, surplus ones; with ``_node``: for each node
    resv                 reserved folios
    max_huge_pages       requested persistent folios; with ``_node``: by hugepages= at boot, for each node
    nr_overcommit_huge_pages  most surplus folios that can be allocated; a kernel starts with 0, an hstate without limit
    demote_order         order of the folios that one is demoted to, 0 if it cannot be
    next_node            next node in turn, to allocate and to free
    """

    huge_page: HugePageSize
    order: int
    gigantic: bool
    freelists: tuple[int, ...]
    nr: int = 0
    free: int = 0
    surplus: int = 0
    resv: int = 0
    max_huge_pages: int = 0
    nr_overcommit_huge_pages: int = NO_LIMIT
    demote_order: int = 0
    next_node: dict[str, int] = field(default_factory=lambda: {"alloc": 0, "free": 0})
    nr_node: list[int] = field(default_factory=list)
    free_node: list[int] = field(default_factory=list)
    surplus_node: list[int] = field(default_factory=list)
    max_huge_pages_node: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of one folio."""
        return self.huge_page.size

    @property
    def persistent(self) -> int:
        """Folios that are not surplus. Kernel: persistent_huge_pages()."""
        return self.nr - self.surplus

    @property
    def available(self) -> int:
        """Free folios that are not reserved. Kernel: available_huge_pages()."""
        return self.free - self.resv

    def in_use(self, *, spares_surplus: bool) -> int:
        """Return how many folios in use a shrinking pool keeps: persistent ones, or surplus ones as well.

        spares_surplus  whether the release does not count surplus folios in use
        Kernel: min_count in set_max_huge_pages(), v6.15 with it, v6.12 without.
        """
        if not spares_surplus:
            return self.nr - self.free
        return self.persistent - (self.free if self.free <= self.persistent else max(0, self.free - self.surplus))

    def adjust_surplus(self, delta: int, only: int | None) -> bool:
        """Count a surplus folio as persistent, or the reverse, on the nodes in turn or on one; return whether one was.

        Kernel: adjust_pool_surplus(), v6.12.
        """
        for node in self.nodes_to("alloc" if delta < 0 else "free", only):
            surplus = self.surplus_node[node]
            if (delta < 0 < surplus) or (delta > 0 and surplus < self.nr_node[node]):
                self.count(node, surplus=delta)
                return True
        return False

    def persistent_on(self, node: int) -> int:
        """Return the folios of a node that are not surplus."""
        return self.nr_node[node] - self.surplus_node[node]

    def count(self, node: int, *, nr: int = 0, free: int = 0, surplus: int = 0) -> None:
        """Add to the counters of the pool and of a node."""
        self.nr += nr
        self.free += free
        self.surplus += surplus
        self.nr_node[node] += nr
        self.free_node[node] += free
        self.surplus_node[node] += surplus

    def nodes_to(self, purpose: str, only: int | None = None) -> Iterator[int]:
        """Yield each node, in turn from call to call with that purpose, `alloc` or `free`; or ``only`` that node.

        Kernel: for_each_node_mask_to_alloc(), for_each_node_mask_to_free(), with all nodes or one in the mask.
        """
        if only is not None:
            self.next_node[purpose] = only
            yield only
            return
        for _ in self.freelists:
            node = self.next_node[purpose]
            self.next_node[purpose] = (node + 1) % len(self.freelists)
            yield node


def max_page_order(mode: PagingMode) -> int:
    """Return the highest order of the page allocator: 10, or that of a PMD if it is higher. Kernel: MAX_PAGE_ORDER."""
    return max(10, mode.levels[-2].shift - mode.page_shift)


def hstates(machine: Machine, *, max_order: int | None = None, cma: bool = False) -> tuple[Hstate, ...]:
    """Return the hstates of a machine, one for each huge page size of its mode, ascending.

    Folios of each size but the smallest are demoted to the next smaller one.

    max_order  the highest order of the page allocator (default: max_page_order())
    cma        whether areas for gigantic folios are reserved: then folios up to the size of a PMD are not demoted
    Kernel: hugetlb_add_hstate(), hugetlb_init_hstates(), v6.1 to v7.2.
    """
    mode = machine.target.mode
    if max_order is None:
        max_order = max_page_order(mode)
    found: list[Hstate] = []
    for huge_page in mode.huge_pages:
        order = (huge_page.size >> mode.page_shift).bit_length() - 1
        heads = tuple(machine.kernel_data(lists.SIZE) for _ in range(machine.nodes))
        for head in heads:
            lists.init(machine.cpus[0], head)
        demoted = bool(found) and not (cma and huge_page.size <= mode.levels[-2].size)
        h = Hstate(huge_page, order, order > max_order, heads, demote_order=found[-1].order if demoted else 0)
        h.nr_node, h.free_node, h.surplus_node, h.max_huge_pages_node = ([0] * machine.nodes for _ in range(4))
        found.append(h)
    return tuple(found)
