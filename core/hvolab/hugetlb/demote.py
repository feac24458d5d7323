# SPDX-License-Identifier: GPL-2.0-only
"""Demotion of free folios to several folios of a smaller hstate. Kernel: mm/hugetlb.c, v6.12."""

from __future__ import annotations

import errno
from itertools import islice

from hvolab.errors import UsageError
from hvolab.hugetlb.pool import Pool
from hvolab.machine.struct_pages import lists


def demote_pool_huge_page(source: Pool, into: Pool, count: int) -> int:
    """Demote up to ``count`` free folios; return their number, or a negative errno.

    Kernel: demote_pool_huge_page(), demote_free_hugetlb_folios(), v6.12.
    """
    if source.h.demote_order != into.h.order:
        raise UsageError(
            f"folios of order {source.h.order} cannot be demoted to order {into.h.order}",
            hint="demote gigantic folios to the next smaller size",
        )
    demoted = result = 0
    cpu, lru = source.cpu, source.machine.struct_pages.layout.lru_next
    for freelist in source.h.freelists:
        taken = source.new_list(0)
        for folio in islice(source.folios(freelist), count - demoted):
            source.remove(folio, surplus=False)
            lists.add(cpu, folio + lru, taken)
            demoted += 1
        result = _demote_list(source, into, taken)
        for folio in source.folios(taken):
            lists.delete(cpu, folio + lru)
            source.add(folio, surplus=False)
            demoted -= 1
        if result < 0 or demoted == count:
            break
    source.h.max_huge_pages -= demoted
    into.h.max_huge_pages += demoted << (source.h.order - into.h.order)
    if result < 0:
        return result
    return demoted or -errno.EBUSY


def _demote_list(source: Pool, into: Pool, taken: int) -> int:
    """Restore the folios of a list, and split those that were restored into folios of the smaller size."""
    machine, cpu, layout = source.machine, source.cpu, source.machine.struct_pages.layout
    lru = layout.lru_next
    restored = source.new_list(1)
    result = source.hvo.restore_folios(source.h, taken, restored)
    lists.splice_init(cpu, restored, taken)
    fresh = into.new_list(0)
    for folio in source.folios(taken):
        if source.folio.flag(folio, layout.hpg_vmemmap_optimized):
            continue
        lists.delete(cpu, folio + lru)
        source.folio.set_hugetlb(folio, hugetlb=False)
        source.folio.destroy_compound(folio, source.h.order)
        source.live.discard(folio)
        machine.frames.split(machine.struct_pages.pfn(folio), source.h.order, into.h.order)
        step = layout.size << into.h.order
        for part in range(folio, folio + (layout.size << source.h.order), step):
            into.folio.prep_compound(part, into.h.order)
            into.folio.set_private(part, 0)
            into.adopt(part)
            lists.add(cpu, part + lru, fresh)
    into.prep_and_add(fresh)
    return result
