# SPDX-License-Identifier: GPL-2.0-only
"""Free folios of the pool that are dissolved.

Kernel: dissolve_free_hugetlb_folio() in mm/hugetlb.c, v6.12.
Left out: the retry for a folio without references that is not on its free list yet: -EBUSY instead.
"""

from __future__ import annotations

from hvolab_explorer.actors.kind import ActorKind, for_each_folio
from hvolab_explorer.world.world import World


def _dissolve(world: World, cpu: int, folio: int) -> None:
    world.pools[cpu].dissolve(folio)


DISSOLVE = ActorKind(
    "dissolve",
    "FOLIO...",
    "dissolve_free_hugetlb_folio() on one optimized folio of the pool after the other",
    for_each_folio(_dissolve),
    starts_optimized=True,
    uses_pool=True,
)
