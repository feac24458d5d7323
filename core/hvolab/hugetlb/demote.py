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

    Both resize_locks and hugetlb_lock are taken as demote_store() and these functions take them.
    Left out: the number of reserved folios, by which demote_store() decides whether to call it; the nodes of a
    per-node request.
    Kernel: demote_pool_huge_page(), demote_free_hugetlb_folios(), v6.12; in v6.1 a call demotes one folio.
    """
    if source.h.demote_order != into.h.order:
        raise UsageError(
            f"folios of order {source.h.order} cannot be demoted to order {into.h.order}",
            rule="demote_order in hugetlb_init_hstates(), mm/hugetlb.c",
            hint="demote to the next smaller size",
        )
    at_once = count if source.variant.batches else 1
    demoted = result = 0
    with source.resize_lock:
        for _ in range(0, count, at_once or 1):
            done, result = _demote(source, into, at_once)
            demoted += done
            if result < 0 or done < at_once:
                break
        with source.hugetlb_lock:
            source.h.max_huge_pages -= demoted
            into.h.max_huge_pages += demoted << (source.h.order - into.h.order)
    if result < 0:
        return result
    return demoted or -errno.EBUSY


def _demote(source: Pool, into: Pool, count: int) -> tuple[int, int]:
    """Demote free folios of the nodes in turn; return their number, and 0 or a negative errno."""
    demoted = result = 0
    cpu, lru = source.cpu, source.machine.struct_pages.layout.lru_next
    for node in source.h.nodes_to("free"):
        taken = source.new_list(0)
        with source.hugetlb_lock:
            healthy = (one for one in source.folios(source.h.freelists[node]) if not source.folio.poisoned(one))
            for folio in islice(healthy, count - demoted):
                source.remove(folio, surplus=False, demote=True)
                lists.add(cpu, folio + lru, taken)
                demoted += 1
        result = _demote_list(source, into, taken)
        with source.hugetlb_lock:
            for folio in source.folios(taken):
                lists.delete(cpu, folio + lru)
                source.add(folio, surplus=False)
                demoted -= 1
        if result < 0 or demoted == count:
            break
    return demoted, result


def _demote_list(source: Pool, into: Pool, taken: int) -> int:
    """Restore the folios of a list, and split those that were restored into folios of the smaller size.

    Where the release does not clear the flags of the parts, each has those of its first struct page. Of a restored tail
    they are 0, unless it is a copy of the head, which has HPG_vmemmap_optimized until it is restored as a whole.
    """
    machine, cpu, layout = source.machine, source.cpu, source.machine.struct_pages.layout
    lru = layout.lru_next
    result = source.restore_list(taken)
    with into.resize_lock:
        fresh = into.new_list(0)
        for folio in source.folios(taken):
            if source.folio.flag(folio, layout.hpg_vmemmap_optimized):
                continue
            lists.delete(cpu, folio + lru)
            if source.variant.clears_parts:
                source.clear_mark(folio)
                source.folio.destroy_compound(folio, source.h.order)
            source.live.discard(folio)
            machine.frames.split(machine.struct_pages.pfn(folio), source.h.order, into.h.order)
            step = layout.size << into.h.order
            for part in range(folio, folio + (layout.size << source.h.order), step):
                if not into.variant.clears_parts:
                    into.folio.unlink_tail(part)
                into.folio.prep_compound(part, into.h.order, gigantic=into.h.gigantic, fresh=False)
                if into.variant.clears_parts:
                    into.folio.set_private(part, 0)
                into.adopt(part)
                into.collect(part, fresh)
        into.prep_and_add(fresh)
    return result
