# SPDX-License-Identifier: GPL-2.0-only
"""Writes to nr_hugepages.

Kernel: set_max_huge_pages() in mm/hugetlb.c, v6.12, under resize_lock.
Left out: the work queue that frees optimized folios of atomic contexts; memory policies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make_shrink(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    count = len(world.folios) - len(places)
    return lambda: world.pools[cpu].set_max_huge_pages(count)


def _make_grow(world: World, cpu: int, _: Sequence[Place]) -> Callable[[], object]:
    count = len(world.folios) + 1
    return lambda: world.pools[cpu].set_max_huge_pages(count)


SHRINK = ActorKind(
    "shrink",
    "FOLIO...",
    "a write to nr_hugepages that frees as many optimized folios of the pool as it names",
    _make_shrink,
    starts_optimized=True,
    uses_pool=True,
)
GROW = ActorKind("grow", "", "a write to nr_hugepages that adds one folio to the pool", _make_grow, uses_pool=True)
