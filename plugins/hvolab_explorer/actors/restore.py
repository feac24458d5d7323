# SPDX-License-Identifier: GPL-2.0-only
"""Restoring of folios, one after the other.

Kernel: hugetlb_vmemmap_restore_folio() in mm/hugetlb_vmemmap.c, since v5.14.
Left out: nothing of that function. An error, for lack of memory, is ignored: the folio stays optimized.
"""

from __future__ import annotations

from hvolab_explorer.actors.kind import ActorKind, for_each_folio
from hvolab_explorer.world.world import World


def _restore(world: World, cpu: int, folio: int) -> None:
    world.engines[cpu].restore_folio(world.h, folio)


RESTORE = ActorKind(
    "restore",
    "FOLIO...",
    "hugetlb_vmemmap_restore_folio() on one optimized folio after the other",
    for_each_folio(_restore),
    starts_optimized=True,
    owns=True,
)
