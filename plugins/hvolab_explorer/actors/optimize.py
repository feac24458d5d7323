# SPDX-License-Identifier: GPL-2.0-only
"""Optimization of one folio.

Kernel: hugetlb_vmemmap_optimize_folio() in mm/hugetlb_vmemmap.c, since v5.14; the release's variant decides the rest.
Left out: nothing of that function. The folio is frozen (no references) and has the hugetlb type, as in v6.12.
"""

from __future__ import annotations

from hvolab_explorer.actors.kind import ActorKind, for_each_folio
from hvolab_explorer.world.world import World


def _optimize(world: World, cpu: int, folio: int) -> None:
    world.engines[cpu].optimize_folio(world.h, folio)


OPTIMIZE = ActorKind(
    "optimize",
    "FOLIO...",
    "hugetlb_vmemmap_optimize_folio() on one folio after the other",
    for_each_folio(_optimize),
    owns=True,
)
