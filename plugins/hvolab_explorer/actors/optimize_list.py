# SPDX-License-Identifier: GPL-2.0-only
"""Optimization of a list of folios in a batch.

Kernel: hugetlb_vmemmap_optimize_folios() in mm/hugetlb_vmemmap.c, since v6.7.
Left out: nothing of that function. The list is the actor's own, as that of a growing pool is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.machine.struct_pages import lists
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    folios = [place.va(world) for place in places]
    head, lru = world.lists[cpu], world.machine.struct_pages.layout.lru_next

    def body() -> None:
        for folio in reversed(folios):
            lists.move(world.cpus[cpu], folio + lru, head)
        world.engines[cpu].optimize_folios(world.h, head)

    return body


OPTIMIZE_LIST = ActorKind("optimize-list", "FOLIO...", "hugetlb_vmemmap_optimize_folios() on a list of its own", _make)
