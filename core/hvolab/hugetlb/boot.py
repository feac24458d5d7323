# SPDX-License-Identifier: GPL-2.0-only
"""Gigantic folios reserved at boot, whose tails are initialized late. Kernel: mm/hugetlb.c, v6.12."""

from __future__ import annotations

import numpy as np

from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb.pool import Pool
from hvolab.machine import FrameAllocator
from hvolab.machine.struct_pages import lists


def alloc_bootmem_huge_page(pool: Pool, node: int = 0) -> int:
    """Reserve one gigantic folio before its struct pages are initialized; return its PFN.

    All but its first struct page stay uninitialized, here zero. Raises MachineError if memory is full.
    Kernel: __alloc_bootmem_huge_page(), memblock_reserved_mark_noinit(), v6.12.
    """
    if not pool.h.gigantic:
        raise UsageError("only gigantic folios are reserved at boot", hint="grow the pool instead")
    machine, frames = pool.machine, pool.machine.frames
    if not isinstance(frames, FrameAllocator):
        raise MachineError("this machine's frames cannot be reserved at boot")
    count = 1 << pool.h.order
    pfn = frames.reserve_any(count, count, node)
    pool.folio.edit(machine.struct_pages.va(pfn + 1), count - 1, lambda words, _: words.fill(0))
    return pfn


def gather_bootmem_prealloc(pool: Pool, reserved: list[int]) -> None:
    """Make folios of reserved PFNs, optimize them in one batch, and add them to the pool.

    The struct pages that HVO keeps are initialized before; the others later, unless HVO has freed them.
    Kernel: gather_bootmem_prealloc_node(), prep_and_add_bootmem_folios(), v6.12.
    """
    machine, h = pool.machine, pool.h
    layout, frames = machine.struct_pages.layout, machine.frames
    if not isinstance(frames, FrameAllocator):
        raise MachineError("this machine's frames cannot be reserved at boot")
    early = min(machine.target.mode.page_size // layout.size, 1 << h.order)
    head = pool.new_list(0)
    links: dict[int, int] = {}
    for pfn in reserved:
        folio = machine.struct_pages.va(pfn)
        zone = frames.zone_of(pfn)
        links[folio] = layout.links(zone.node, layout.zone_number(zone.kind.name))
        pool.folio.init_vmemmap(folio, 0, 1, links[folio], h.order)
        pool.folio.init_vmemmap(folio, 1, early, links[folio], h.order)
        pool.folio.prep_head(folio, h.order)
        # the boot allocator's reservation becomes an allocated block that can be freed as one
        frames.release_reserved(np.arange(pfn, pfn + (1 << h.order), dtype=np.int64))
        frames.adopt(np.array([pfn], dtype=np.int64), h.order)
        pool.adopt(folio)
        lists.add(pool.cpu, folio + layout.lru_next, head)
    pool.hvo.optimize_folios(h, head)
    for folio in pool.folios(head):
        if not pool.folio.flag(folio, layout.hpg_vmemmap_optimized):
            pool.folio.init_vmemmap(folio, early, 1 << h.order, links[folio], h.order)
        pool.account(folio)
    h.max_huge_pages = h.persistent
