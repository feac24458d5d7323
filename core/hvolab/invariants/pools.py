"""Invariant 7: a pool's counters against its lists and its folios."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab.hugetlb import Pool
from hvolab.invariants.finding import Finding, Rule


def check_pool(pool: Pool) -> Iterator[Finding]:
    """Invariant 7 for one pool."""
    h, layout = pool.h, pool.machine.struct_pages.layout
    name = f"pool of order {h.order}"
    free = list(pool.free_folios())
    for title, whole, parts in (
        ("nr_hugepages", h.nr, h.nr_node),
        ("free_hugepages", h.free, h.free_node),
        ("surplus_hugepages", h.surplus, h.surplus_node),
    ):
        if whole != sum(parts):
            yield Finding(Rule.POOL, f"{name}: {title} is {whole}, but the nodes have {parts}")
        if whole < 0:
            yield Finding(Rule.POOL, f"{name}: {title} is {whole}")
    if h.persistent < 0:
        yield Finding(Rule.POOL, f"{name}: surplus {h.surplus} is more than nr_hugepages {h.nr}")
    if h.free != len(free):
        yield Finding(Rule.POOL, f"{name}: free_hugepages is {h.free}, but {len(free)} are on the free lists")
    if h.nr != len(pool.live):
        yield Finding(Rule.POOL, f"{name}: nr_hugepages is {h.nr}, but {len(pool.live)} folios exist")
    if len(set(free)) != len(free):
        yield Finding(Rule.POOL, f"{name}: a folio is on the free lists twice")
    for folio in free:
        where = f"folio VA {folio:#x}"
        if folio not in pool.live:
            yield Finding(Rule.POOL, f"{name}: a free folio is not of the pool", where)
        elif not pool.folio.is_hugetlb(folio):
            yield Finding(Rule.POOL, f"{name}: a free folio has no hugetlb type", where)
        elif pool.folio.refcount(folio):
            yield Finding(Rule.POOL, f"{name}: a free folio has references", where)
        elif not pool.folio.flag(folio, layout.hpg_freed):
            yield Finding(Rule.POOL, f"{name}: a folio on the free list has no HPG_freed", where)
