# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of pools."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.hugetlb import Pool
from hvolab.invariants.invariant import Invariant, Report
from hvolab.invariants.survey import Survey
from hvolab.release.faults import TEMPORARY_AS_SURPLUS


def _check_pools(survey: Survey, report: Report) -> None:
    """Persistent and surplus folios add up to `nr_hugepages`, and every folio of a pool is accounted for.

    The counters of a pool agree with its free lists and the folios that exist, in sum and on each node; surplus is at
    most `nr_hugepages`, `max_huge_pages` is the number of persistent folios, temporary ones aside, and as many folios
    are free as are reserved; a free folio is on the list of its node, and has the hugetlb type, no references and
    `HPG_freed`. A folio that could not be restored is still in the pool: `add_hugetlb_folio()` makes it surplus.

    Where dissolving a surplus folio leaves surplus as it was, surplus can be more: a declared finding. A temporary
    folio that is in use while its pool shrinks becomes surplus for good: a known fault of every release.
    """
    for pool in survey.pools:
        if pool.h.persistent < 0:
            what = f"pool of order {pool.h.order}: surplus {pool.h.surplus} is more than nr_hugepages {pool.h.nr}"
            declared = not survey.machine.target.release.hugetlb.dissolves_surplus
            report(what, declared=declared, fault="" if declared else _temporary_as_surplus(pool))
        for what, where in (*_counter_faults(pool), *_folio_faults(pool)):
            report(f"pool of order {pool.h.order}: {what}", where)
        persistent = pool.h.persistent - _temporary(pool)
        if pool.h.max_huge_pages != persistent:
            what = f"max_huge_pages is {pool.h.max_huge_pages}, but {persistent} folios are persistent"
            report(f"pool of order {pool.h.order}: {what}", fault=_temporary_as_surplus(pool))


def _temporary(pool: Pool) -> int:
    """Return the number of temporary folios of a pool."""
    layout = pool.machine.struct_pages.layout
    private = _words(pool, list(pool.live), layout.private)
    return int((private >> np.uint64(layout.hpg_temporary) & np.uint64(1)).sum())


def _temporary_as_surplus(pool: Pool) -> str:
    """Return the fault that counts temporary folios as surplus, if there were as many as persistent folios lack."""
    temporary = _temporary(pool)
    lacking = pool.h.max_huge_pages - (pool.h.persistent - temporary)
    return TEMPORARY_AS_SURPLUS * (0 < lacking <= temporary + pool.temporaries)


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
    faults += _node_faults(pool, free)
    return [(fault, "") for fault in faults] + [(what, off_list) for what, found in checks.items() if found]


def _node_faults(pool: Pool, free: list[int]) -> list[str]:
    """Return where the counters of nodes and reservations disagree with the folios."""
    h, layout = pool.h, pool.machine.struct_pages.layout
    mask = (1 << layout.node_bits) - 1
    counters = {"nr_hugepages": (h.nr_node, list(pool.live)), "free_hugepages": (h.free_node, free)}
    faults = []
    for name, (counts, folios) in counters.items():
        nodes = _words(pool, folios, layout.flags) >> np.uint64(layout.node_shift) & np.uint64(mask)
        found = np.bincount(nodes.astype(np.int64), minlength=len(counts)).tolist()
        faults += [
            f"{name} of node {node} is {count}, but the node has {found[node]}"
            for node, count in enumerate(counts)
            if count != found[node]
        ]
    faults += [f"surplus_hugepages of node {node} is {n}" for node, n in enumerate(h.surplus_node) if n < 0]
    if not 0 <= h.resv <= h.free:
        faults.append(f"resv_huge_pages is {h.resv}, but {h.free} folios are free")
    return faults


def _words(pool: Pool, folios: list[int], offset: int) -> npt.NDArray[np.uint64]:
    """Return a word of the head struct page of each folio."""
    pages = pool.machine.struct_pages
    return pages.words(np.array([pages.pfn(folio) for folio in folios], dtype=np.int64), offset)


def _folio_faults(pool: Pool) -> list[tuple[str, str]]:
    folios, layout = pool.folio, pool.machine.struct_pages.layout
    faults = []
    listed = [(folio, node) for node, head in enumerate(pool.h.freelists) for folio in pool.folios(head)]
    for folio, node in listed:
        checks = {
            f"is on the free list of node {node}": folios.node(folio) != node,
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
