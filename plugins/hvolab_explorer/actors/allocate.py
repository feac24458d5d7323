# SPDX-License-Identifier: GPL-2.0-only
"""Optimization of a new folio that goes into use at once.

Kernel: alloc_surplus_hugetlb_folio() in mm/hugetlb.c, since v5.14, as far as struct pages are concerned: the frozen
folio is optimized, then gets its first reference.
Left out: the allocation of the folio, hugetlb_lock and the counters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World

_COUNT_BYTES = 4


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    (place,) = places
    folio, layout = place.va(world), world.machine.struct_pages.layout
    one = (1).to_bytes(_COUNT_BYTES, world.machine.target.architecture.byte_order)

    def body() -> None:
        world.engines[cpu].optimize_folio(world.h, folio)
        world.cpus[cpu].store(folio + layout.refcount, one)

    return body


ALLOCATE = ActorKind(
    "allocate", "FOLIO", "hugetlb_vmemmap_optimize_folio(), then the first reference", _make, owns=True
)
