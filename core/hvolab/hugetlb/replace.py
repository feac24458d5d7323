# SPDX-License-Identifier: GPL-2.0-only
"""Replacement of free folios by new ones, whose memory may be anywhere. Kernel: mm/hugetlb.c, v6.12."""

from __future__ import annotations

import errno

from hvolab.errors import KernelBug
from hvolab.hugetlb.hstate import Hstate
from hvolab.hugetlb.pool import Pool


def find_hstate(pool: Pool, folio: int) -> Hstate | None:
    """Return the hstate of a folio, or None if it is not of hugetlb.

    Without hugetlb_lock the type could change between the test and its use.
    Kernel: replace_free_hugepage_folios() since "mm/hugetlb: fix kernel NULL pointer dereference when replacing free
    hugetlb folios" (2025).
    """
    with pool.hugetlb_lock:
        return folio_hstate(pool, folio) if pool.folio.is_hugetlb(folio) else None


def folio_hstate(pool: Pool, folio: int) -> Hstate:
    """Return the hstate of a folio; raises KernelBug if it is not of hugetlb.

    Kernel: folio_hstate() with its VM_BUG_ON_FOLIO(), v6.12.
    """
    if not pool.folio.is_hugetlb(folio):
        raise KernelBug(
            f"the folio at VA {folio:#x} has no hugetlb type, and its hstate is wanted",
            rule="VM_BUG_ON_FOLIO() in folio_hstate(), include/linux/hugetlb.h",
            va=folio,
        )
    return pool.h


def alloc_and_dissolve(pool: Pool, old: int, *, isolated: bool = False) -> int:
    """Put a new folio into the pool for a free one, and free that; return 0, -ENOMEM or -EBUSY.

    Where the old folio has left the pool meanwhile, the new one is freed. It may be in the place of the old one then,
    unless that is isolated: the kernel takes it for the old one, which is not on its free list yet, and tries again
    without end. Raises KernelBug there.

    isolated  no memory of the old folio can be allocated, as in alloc_contig_range()
    Left out: folios in use, which are isolated and migrated, and the retry for one without references that is not on
    its free list yet: -EBUSY for both.
    Kernel: alloc_and_dissolve_hugetlb_folio(), v6.12.
    """
    new = pool.alloc_uncounted(pool.folio.node(old))
    if new is None:
        return -errno.ENOMEM
    if new == old and not isolated:
        raise KernelBug(
            f"the new folio is in the place of the old one at VA {old:#x}, and is waited for without end",
            rule="goto retry in alloc_and_dissolve_hugetlb_folio(), mm/hugetlb.c",
            va=old,
        )
    if new == old:  # no memory is isolated here: the folio has gone, and the new one is not needed
        pool.update_and_free(new)
        return 0
    with pool.hugetlb_lock:
        result = 0
        replaced = pool.folio.is_hugetlb(old)
        if replaced and (pool.folio.refcount(old) or not pool.folio.flag(old, pool.folio.layout.hpg_freed)):
            replaced, result = False, -errno.EBUSY
        if replaced:
            pool.remove(old, surplus=False)
            pool.h.count(pool.folio.node(new), nr=1)
            pool.enqueue(new)
    pool.update_and_free(old if replaced else new)
    return result
