# SPDX-License-Identifier: GPL-2.0-only
"""Restoring of a list of folios in a batch.

Kernel: hugetlb_vmemmap_restore_folios() in mm/hugetlb_vmemmap.c, since v6.7.
Left out: its callers; the two lists are the actor's own from the start, and what could not be restored stays optimized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, _: Sequence[Place]) -> Callable[[], object]:
    return lambda: world.engines[cpu].restore_folios(world.h, world.lists[cpu], world.restored_lists[cpu])


RESTORE_LIST = ActorKind(
    "restore-list",
    "FOLIO...",
    "hugetlb_vmemmap_restore_folios() on a list of its own",
    _make,
    starts_optimized=True,
    starts_listed=True,
    owns=True,
)
