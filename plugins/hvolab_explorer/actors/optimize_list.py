# SPDX-License-Identifier: GPL-2.0-only
"""Optimization of a list of folios in a batch.

Kernel: hugetlb_vmemmap_optimize_folios() in mm/hugetlb_vmemmap.c, since v6.7.
Left out: nothing of that function. The list is the actor's own from the start, as that of a growing pool is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, _: Sequence[Place]) -> Callable[[], object]:
    return lambda: world.engines[cpu].optimize_folios(world.h, world.lists[cpu])


OPTIMIZE_LIST = ActorKind(
    "optimize-list",
    "FOLIO...",
    "hugetlb_vmemmap_optimize_folios() on a list of its own",
    _make,
    starts_listed=True,
    owns=True,
)
