# SPDX-License-Identifier: GPL-2.0-only
"""A page in use that is freed and becomes a tail of a huge page, which is optimized.

Kernel: the last put_page() of a page, then alloc_contig_pages() or the page allocator for a huge page, then
hugetlb_vmemmap_optimize_folio(), since v5.14, as far as the page's count is concerned.
Left out: the page allocator; the folio is compound from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World

_COUNT_BYTES = 4


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    (place,) = places
    folio, page = place.head.va(world), place.va(world)
    count = page + world.machine.struct_pages.layout.refcount

    def body() -> None:
        world.cpus[cpu].store(count, bytes(_COUNT_BYTES))
        world.engines[cpu].optimize_folio(world.h, folio)

    return body


RECYCLE = ActorKind(
    "recycle",
    "PAGE",
    "the last put_page() of a page, then hugetlb_vmemmap_optimize_folio() on the folio of which it is a tail",
    _make,
    starts_in_use=True,
    owns=True,
)
