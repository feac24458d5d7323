# SPDX-License-Identifier: GPL-2.0-only
"""Restoring of folios, one after the other.

Kernel: hugetlb_vmemmap_restore_folio() in mm/hugetlb_vmemmap.c, since v5.14.
Left out: nothing of that function. An error, for lack of memory, is ignored: the folio stays optimized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    folios = [place.va(world) for place in places]

    def body() -> None:
        for folio in folios:
            world.engines[cpu].restore_folio(world.h, folio)

    return body


RESTORE = ActorKind(
    "restore",
    "FOLIO...",
    "hugetlb_vmemmap_restore_folio() on one optimized folio after the other",
    _make,
    starts_optimized=True,
)
