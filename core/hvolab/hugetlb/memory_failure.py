# SPDX-License-Identifier: GPL-2.0-only
"""Memory errors in folios of a pool. Kernel: mm/memory-failure.c, v6.12."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Final

from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb.folio import FolioPages
from hvolab.hugetlb.pool import Pool
from hvolab.hugetlb.raw_hwp import RECORD_SIZE, set_hwpoison
from hvolab.machine import Cpu, FrameAllocator, Machine

#: ``private`` of a struct page that was removed from the free lists: MAGIC_HWPOISON in mm/internal.h, v6.12.
TAKEN_OFF: Final = 0x48575053


def memory_failure(pool: Pool, pfn: int, *, recorded: bool = True) -> int:
    """Handle an uncorrected memory error of a frame in a folio of the pool; return 0 or a negative errno.

    A free folio is dissolved, and the frame is removed from the free lists: 0. One that cannot be dissolved stays on
    its free list, from which it is never used: -EBUSY. A folio in use that is mapped is unmapped and freed first; of
    one that is not mapped yet only the flag is set: -EBUSY. Another error in a poisoned folio is recorded: -EHWPOISON.

    recorded  whether memory for the record of the page can be allocated
    Raises UsageError for a frame in no folio of the pool, and MachineError for a machine without an allocator.
    Left out: the page cache, where a mapped folio would stay; signals, filters, soft offlining, unpoisoning, and other
    pages than those of hugetlb.
    Kernel: try_memory_failure_hugetlb(), get_huge_page_for_hwpoison(), me_huge_page(), v6.12.
    """
    machine, h = pool.machine, pool.h
    if not isinstance(machine.frames, FrameAllocator):
        raise MachineError("the frames of this machine cannot be poisoned")
    folio = machine.struct_pages.va(pfn & -(1 << h.order))
    if folio not in pool.live:
        raise UsageError(
            f"PFN {pfn:#x} is in no folio of order {h.order}", hint="choose a frame of a folio in the pool"
        )
    machine.poisoned.add(pfn)
    allocate = partial(machine.kernel_data, RECORD_SIZE) if recorded else None
    with pool.hugetlb_lock:
        freed = get_huge_page_for_hwpoison(pool, folio, machine.struct_pages.va(pfn), allocate)
    if freed < 0:
        return freed
    if not freed:
        pool.put(folio)  # the last reference, after the folio was unmapped
    return page_handle_poison(pool, folio, pfn)


def get_huge_page_for_hwpoison(
    pool: Pool, folio: int, page: int, allocate: Callable[[], int] | None, *, retries: bool = False
) -> int:
    """Record a memory error in a folio; return 1 for a free folio, 0 for a mapped one, or -EHWPOISON or -EBUSY.

    The caller holds hugetlb_lock. A folio that is neither free nor mapped is busy: its error is recorded unless the
    caller retries.

    allocate  return the VA of a new record; None: none can be allocated
    retries   the caller tries again after -EBUSY
    Left out: the reference to a mapped folio, and HPG_migratable, which is cleared.
    Kernel: get_huge_page_for_hwpoison(), where ``retries`` is the absence of MF_NO_RETRY, v6.12.
    """
    layout = pool.machine.struct_pages.layout
    freed, migratable = (pool.folio.flag(folio, bit) for bit in (layout.hpg_freed, layout.hpg_migratable))
    busy = -errno.EBUSY if not freed and not migratable else 0
    if busy and retries:
        return busy
    return set_hwpoison(pool.folio, folio, page, allocate) or busy or int(freed)


def page_handle_poison(pool: Pool, folio: int, pfn: int) -> int:
    """Dissolve a folio, and remove a frame from the free lists; return 0 or -EBUSY.

    Left out: drain_all_pages(), as there are no lists of single CPUs. Kernel: __page_handle_poison(), v6.12.
    """
    if pool.dissolve(folio) or not take_page_off_buddy(pool.machine, pool.cpu, pfn):
        return -errno.EBUSY
    pool.folio.set_refcount(pool.machine.struct_pages.va(pfn), 1)
    return 0


def take_page_off_buddy(machine: Machine, cpu: Cpu, pfn: int) -> bool:
    """Remove a frame from the free lists of the page allocator; return False if it is not free.

    Kernel: take_page_off_buddy() in mm/page_alloc.c, v6.12.
    """
    if not machine.take_free_frame(pfn):
        return False
    page = machine.struct_pages.va(pfn)
    FolioPages(machine, cpu).set_refcount(page, 0)  # of a free page; the machine leaves the one that boot has set
    cpu.store_word(page + machine.struct_pages.layout.private, TAKEN_OFF)
    return True
