# SPDX-License-Identifier: GPL-2.0-only
"""Pages in use that are freed and become tails of huge pages, which are optimized in a batch.

Kernel: the last put_page() of each page, then hugetlb_vmemmap_optimize_folios() in mm/hugetlb_vmemmap.c on the list of
folios, since v6.7, as a growing pool does with the memory that it gets.
Left out: the page allocator; the folios are compound from the start. ``A`` is a folio without such a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.actors.optimize_list import OPTIMIZE_LIST
from hvolab_explorer.world.world import World

_COUNT_BYTES = 4


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    pages = [place.va(world) for place in places if place.page]
    optimize = OPTIMIZE_LIST.make(world, cpu, places)

    def body() -> None:
        for page in pages:
            world.cpus[cpu].store(page + world.machine.struct_pages.layout.refcount, bytes(_COUNT_BYTES))
        optimize()

    return body


RECYCLE_LIST = ActorKind(
    "recycle-list",
    "PAGE...",
    "the last put_page() of pages, then hugetlb_vmemmap_optimize_folios() on the folios of which they are tails",
    _make,
    starts_in_use=True,
    starts_listed=True,
    owns=True,
)
