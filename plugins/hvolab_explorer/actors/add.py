# SPDX-License-Identifier: GPL-2.0-only
"""New folios that are added to the pool.

Kernel: prep_and_add_allocated_folios() in mm/hugetlb.c, since v6.7, as set_max_huge_pages() calls it.
Left out: the allocation of the folios, which are compound, frozen and of the hugetlb type from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.machine.struct_pages import lists
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    pool, head = world.pools[cpu], world.lists[cpu]
    folios = [place.va(world) for place in places]
    lru = world.machine.struct_pages.layout.lru_next

    def body() -> None:
        with pool.resize_lock:
            for folio in reversed(folios):
                lists.add(world.cpus[cpu], folio + lru, head)
            pool.prep_and_add(head)
            with pool.hugetlb_lock:
                world.h.max_huge_pages = world.h.persistent

    return body


ADD = ActorKind(
    "add",
    "FOLIO...",
    "prep_and_add_allocated_folios() on a list of new folios",
    _make,
    starts_fresh=True,
    owns=True,
    uses_pool=True,
)
