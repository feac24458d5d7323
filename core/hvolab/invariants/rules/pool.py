# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of pools."""

from __future__ import annotations

from hvolab.hugetlb import Pool
from hvolab.invariants.invariant import Invariant, Report
from hvolab.invariants.survey import Survey


def _check_pools(survey: Survey, report: Report) -> None:
    """Persistent and surplus folios add up to `nr_hugepages`, and every folio of a pool is accounted for.

    The counters of a pool agree with its nodes, its free lists and the folios that exist; surplus is at most
    `nr_hugepages`; a free folio has the hugetlb type, no references and `HPG_freed`. A folio that could not be
    restored is therefore still in the pool: `add_hugetlb_folio()` makes it surplus.

    Where dissolving a surplus folio leaves surplus as it was, surplus can be more: a declared finding.
    """
    for pool in survey.pools:
        if pool.h.persistent < 0:
            what = f"pool of order {pool.h.order}: surplus {pool.h.surplus} is more than nr_hugepages {pool.h.nr}"
            report(what, declared=not survey.machine.target.release.hugetlb.dissolves_surplus)
        for what, where in (*_counter_faults(pool), *_folio_faults(pool)):
            report(f"pool of order {pool.h.order}: {what}", where)


def _counter_faults(pool: Pool) -> list[tuple[str, str]]:
    h, free = pool.h, list(pool.free_folios())
    counters = {
        "nr_hugepages": (h.nr, h.nr_node),
        "free_hugepages": (h.free, h.free_node),
        "surplus_hugepages": (h.surplus, h.surplus_node),
    }
    faults = [
        *(f"{name} is {n}, but the nodes have {nodes}" for name, (n, nodes) in counters.items() if n != sum(nodes)),
        *(f"{name} is {n}" for name, (n, _) in counters.items() if n < 0),
    ]
    off_list = next((f"folio VA {folio:#x} is on no free list" for folio in sorted(pool.live.difference(free))), "")
    checks = {
        f"free_hugepages is {h.free}, but {len(free)} are on the free lists": h.free != len(free),
        f"nr_hugepages is {h.nr}, but {len(pool.live)} folios exist": h.nr != len(pool.live),
        "a folio is on the free lists twice": len(set(free)) != len(free),
    }
    return [(fault, "") for fault in faults] + [(what, off_list) for what, found in checks.items() if found]


def _folio_faults(pool: Pool) -> list[tuple[str, str]]:
    folios, layout = pool.folio, pool.machine.struct_pages.layout
    faults = []
    for folio in pool.free_folios():
        checks = {
            "is not in the pool": folio not in pool.live,
            "has no hugetlb type": not folios.is_hugetlb(folio),
            "has references": folios.refcount(folio),
            "has no HPG_freed": not folios.flag(folio, layout.hpg_freed),
        }
        fault = next((what for what, found in checks.items() if found), None)
        if fault is not None:
            faults.append((f"a free folio {fault}", f"folio VA {folio:#x}"))
    return faults


POOL = Invariant(7, "pool", state=_check_pools)
