# SPDX-License-Identifier: GPL-2.0-only
"""A surplus folio that is allocated and freed.

Kernel: alloc_surplus_hugetlb_folio(), then free_huge_folio() in mm/hugetlb.c, v6.12.
Left out: reservations, and what is done with the folio meanwhile; the work queue that frees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, _: Sequence[Place]) -> Callable[[], object]:
    def body() -> None:
        folio = world.pools[cpu].alloc_surplus()
        if folio is not None:
            world.pools[cpu].put(folio)

    return body


SURPLUS = ActorKind(
    "surplus", "", "alloc_surplus_hugetlb_folio(), then free_huge_folio() on the folio", _make, uses_pool=True
)
