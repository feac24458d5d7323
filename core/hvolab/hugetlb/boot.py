# SPDX-License-Identifier: GPL-2.0-only
"""Gigantic folios reserved at boot. Kernel: mm/hugetlb.c, v6.12; other releases by their HugetlbVariant."""

from __future__ import annotations

import numpy as np

from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb.pool import Pool
from hvolab.machine import FrameAllocator


def alloc_bootmem_huge_page(pool: Pool, node: int = 0) -> int:
    """Reserve one gigantic folio before its struct pages are initialized; return its PFN.

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
    h.max_huge_pages = h.persistent
