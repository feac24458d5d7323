# SPDX-License-Identifier: GPL-2.0-only
"""Folios allocated at boot. Kernel: mm/hugetlb.c, v6.12; other releases by their HugetlbVariant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb.pool import Pool
from hvolab.machine import FrameAllocator
from hvolab.units import NodeCounts


def alloc_boot_pages(pool: Pool, count: int) -> int:
    """Allocate the folios that hugepages= requests, as far as memory allows; return their number.

    Gigantic folios are reserved, and then added to the pool. Of a request by node, others are allocated and optimized
    one by one, and only there; else in a batch, from the nodes in turn.
    Left out: the threads that allocate at boot. The kernel reserves gigantic folios of all sizes before it adds any.
    Kernel: hugetlb_hstate_alloc_pages(), hugetlb_hstate_alloc_pages_onenode(), v6.12.
    """
    h, before = pool.h, pool.h.nr
    h.max_huge_pages += count
    if isinstance(count, NodeCounts):
        for node, wanted in sorted(count.nodes.items()):
            h.max_huge_pages_node[node] = _alloc_on(pool, node, wanted)
            h.max_huge_pages -= wanted - h.max_huge_pages_node[node]
    elif h.gigantic:
        h.max_huge_pages -= count - _add_reserved(pool, count, partial(_reserve_in_turn, pool))
    else:
        pool.set_max_huge_pages(h.persistent + count)
    return h.nr - before


def _alloc_on(pool: Pool, node: int, count: int) -> int:
    """Allocate folios of one node; return their number."""
    if pool.h.gigantic:
        return _add_reserved(pool, count, partial(alloc_bootmem_huge_page, pool, node))
    for done in range(count):
        folio = pool.alloc_single(node)
        if folio is None:
            return done
        pool.free_huge(folio)
    return count


def _add_reserved(pool: Pool, count: int, reserve: Callable[[], int]) -> int:
    """Reserve gigantic folios, and add them to the pool; return their number."""
    reserved: list[int] = []
    with suppress(MachineError):
        while len(reserved) < count:
            reserved.append(reserve())
    gather_bootmem_prealloc(pool, reserved)
    return len(reserved)


def _reserve_in_turn(pool: Pool) -> int:
    """Reserve a gigantic folio of the next node, or of another one. Kernel: __alloc_bootmem_huge_page(), v6.12."""
    try:
        return alloc_bootmem_huge_page(pool, next(pool.h.nodes_to("alloc")))
    except MachineError:
        return alloc_bootmem_huge_page(pool, None)


def alloc_bootmem_huge_page(pool: Pool, node: int | None = 0) -> int:
    """Reserve one gigantic folio of a node, or of any, before its struct pages are initialized; return its PFN.

    Where tails are initialized late, all but its first struct page stay uninitialized, here zero. Raises MachineError
    if memory is full.
    Kernel: __alloc_bootmem_huge_page(), memblock_reserved_mark_noinit(), v6.12.
    """
    if not pool.h.gigantic:
        raise UsageError("only gigantic folios are reserved at boot", hint="grow the pool instead")
    machine, frames = pool.machine, pool.machine.frames
    if not isinstance(frames, FrameAllocator):
        raise MachineError("this machine's frames cannot be reserved at boot")
    count = 1 << pool.h.order
    pfn = frames.reserve_any(count, count, node)
    if pool.variant.late_tails:
        pool.folio.edit(machine.struct_pages.va(pfn + 1), count - 1, lambda words, _: words.fill(0))
    return pfn


def gather_bootmem_prealloc(pool: Pool, reserved: list[int]) -> None:
    """Make folios of reserved PFNs, optimize them, and add them to the pool.

    Where tails are initialized late, the struct pages that HVO keeps are initialized before; the others afterwards,
    unless HVO has freed them.
    Kernel: gather_bootmem_prealloc_node(), prep_and_add_bootmem_folios(), v6.12; gather_bootmem_prealloc(), v6.1.
    """
    machine, h, pages = pool.machine, pool.h, 1 << pool.h.order
    layout, frames = machine.struct_pages.layout, machine.frames
    if not isinstance(frames, FrameAllocator):
        raise MachineError("this machine's frames cannot be reserved at boot")
    early = min(machine.target.mode.page_size // layout.size, pages) if pool.variant.late_tails else pages
    head = pool.new_list(0)
    links: dict[int, int] = {}

    def finish(folio: int) -> None:
        """Initialize the tails that are not yet, unless HVO has freed them."""
        if not pool.folio.flag(folio, layout.hpg_vmemmap_optimized):
            pool.folio.init_vmemmap(folio, early, pages, links[folio], h.order)

    for pfn in reserved:
        folio = machine.struct_pages.va(pfn)
        zone = frames.zone_of(pfn)
        links[folio] = layout.links(zone.node, layout.zone_number(zone.kind.name))
        pool.folio.init_vmemmap(folio, 0, 1, links[folio], h.order)
        pool.folio.init_vmemmap(folio, 1, early, links[folio], h.order)
        pool.folio.prep_head(folio, h.order, gigantic=True)
        # the boot allocator's reservation becomes an allocated block that can be freed as one
        frames.release_reserved(np.arange(pfn, pfn + pages, dtype=np.int64))
        frames.adopt(np.array([pfn], dtype=np.int64), h.order)
        pool.adopt(folio)
        pool.collect(folio, head, finish)
    pool.prep_and_add(head, finish)
