# SPDX-License-Identifier: GPL-2.0-only
"""Optimization of one folio.

Kernel: hugetlb_vmemmap_optimize_folio() in mm/hugetlb_vmemmap.c, since v5.14; the release's variant decides the rest.
Left out: nothing of that function. The folio is frozen (no references) and has the hugetlb type, as in v6.12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    folios = [place.va(world) for place in places]

    def body() -> None:
        for folio in folios:
            world.engines[cpu].optimize_folio(world.h, folio)

    return body


OPTIMIZE = ActorKind("optimize", "FOLIO...", "hugetlb_vmemmap_optimize_folio() on one folio after the other", _make)
