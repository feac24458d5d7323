# SPDX-License-Identifier: GPL-2.0-only
"""Reservations of a pool. Kernel: hugetlb_acct_memory() in mm/hugetlb.c, v6.12.

Left out are the owners of reservations: reserve maps, VMAs, subpools and cpusets. hugetlb_reserve_pages() and
hugetlb_unreserve_pages() find the number of pages by them, and pass it to the code that is modeled here.
"""

from __future__ import annotations

import errno

from hvolab.errors import UsageError
from hvolab.hugetlb.pool import Pool
from hvolab.machine.struct_pages import lists


def reserve(pool: Pool, count: int) -> int:
    """Reserve folios; return 0, or -ENOMEM with nothing reserved.

    Where fewer folios are free than are reserved then, surplus folios are allocated, up to nr_overcommit_huge_pages.
    Raises UsageError for a negative number.
    Kernel: hugetlb_acct_memory(), gather_surplus_pages(), v6.12.
    """
    _require_count(count)
    if not count:
        return 0
    if not _gather_surplus(pool, count):
        return -errno.ENOMEM
    with pool.hugetlb_lock:
        exceeds = count > pool.h.free
    if exceeds:
        unreserve(pool, count)
        return -errno.ENOMEM
    return 0


def fault(pool: Pool) -> int | None:
    """Map a reserved folio; return it, or None if there is none.

    The folio uses up its reservation, and can be migrated from then on. Left out: the page table entry, the page cache,
    and faults without a reservation, which may allocate surplus folios.
    Kernel: alloc_hugetlb_folio(), hugetlb_no_page(), v6.12.
    """
    folio = pool.dequeue(reserved=True)
    if folio is not None:
        layout = pool.machine.struct_pages.layout
        pool.folio.set_flag(folio, layout.hpg_restore_reserve, value=False)
        pool.folio.set_flag(folio, layout.hpg_migratable, value=True)
    return folio


def unreserve(pool: Pool, count: int) -> None:
    """Release reservations, and free as many surplus folios that are not in use.

    Raises UsageError for a negative number, and for more than are reserved.
    Kernel: return_unused_surplus_pages(), v6.12.
    """
    _require_count(count)
    h = pool.h
    if count > h.resv:
        raise UsageError(f"{count} reservations of {h.resv} are released", hint="release those that were made")
    head, lru = pool.new_list(0), pool.machine.struct_pages.layout.lru_next
    with pool.hugetlb_lock:
        h.resv -= count
        for _ in range(min(count, h.surplus)):
            folio = pool.remove_pool_folio(None, surplus=True)
            if folio is None:
                break
            lists.add(pool.cpu, folio + lru, head)
    pool.update_and_free_bulk(head)


def _gather_surplus(pool: Pool, count: int) -> bool:
    """Allocate the surplus folios that reservations lack, and reserve; return False with nothing changed.

    The preferred node is each in turn until a folio is allocated, or the first one alone. Left out: memory policies and
    cpusets. Kernel: gather_surplus_pages(), v6.12, other releases by gathers_by_node.
    """
    h, lru = pool.h, pool.machine.struct_pages.layout.lru_next
    head = pool.new_list(0)
    allocated = 0
    complete = True
    preferred = range(pool.machine.nodes if pool.variant.gathers_by_node else 1)
    while complete and (needed := _needed(pool, count, allocated)) > 0:
        for _ in range(needed):
            tries = (pool.alloc_surplus(node, references=0) for node in preferred)
            folio = next((one for one in tries if one is not None), None)
            if folio is None:
                complete = False
                break
            lists.add(pool.cpu, folio + lru, head)
            allocated += 1
    with pool.hugetlb_lock:
        spare = h.free + allocated - h.resv - count
        if spare >= 0:
            h.resv += count
            for folio in list(pool.folios(head))[: allocated - spare]:
                pool.enqueue(folio)
    for folio in pool.folios(head):
        pool.free_huge(folio)
    return spare >= 0


def _needed(pool: Pool, count: int, allocated: int) -> int:
    """Return the folios that are missing for ``count`` more reservations."""
    with pool.hugetlb_lock:
        return pool.h.resv + count - pool.h.free - allocated


def _require_count(count: int) -> None:
    if count < 0:
        raise UsageError(f"{count} reservations", hint="use 0 or more")
