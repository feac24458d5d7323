# SPDX-License-Identifier: GPL-2.0-only
"""Free folios that are replaced by new ones, where their memory is needed.

Kernel: replace_free_hugepage_folios() in mm/hugetlb.c, since v6.15, as alloc_contig_range() calls it; and
isolate_migratepages_block() in mm/compaction.c with isolate_or_dissolve_huge_page(), v6.12: compaction scans PFNs
without a reference or lock, and replaces a folio that PageHuge() finds.
Left out: folios in use, which are migrated; other pages than those of hugetlb; gigantic folios. As in `dissolve`, a
folio that is not on its free list yet is not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.hugetlb import replace
from hvolab_explorer.actors.compound import find_head
from hvolab_explorer.actors.kind import ActorKind, Place, for_each_folio
from hvolab_explorer.world.world import World


def _replace(world: World, cpu: int, folio: int, *, isolated: bool = True) -> None:
    pool = world.pools[cpu]
    if replace.find_hstate(pool, folio) is None or pool.folio.refcount(folio):
        return
    replace.alloc_and_dissolve(pool, folio, isolated=isolated)


def _make_compaction(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    pages, pool = [place.va(world) for place in places], world.pools[cpu]

    def body() -> None:
        for page in pages:
            folio = find_head(world, cpu, page)
            if pool.folio.is_hugetlb(folio):
                _replace(world, cpu, folio, isolated=False)

    return body


REPLACE = ActorKind(
    "replace",
    "FOLIO...",
    "replace_free_hugepage_folios() on one optimized folio after the other",
    for_each_folio(_replace),
    starts_optimized=True,
    uses_pool=True,
)
COMPACTION = ActorKind(
    "compaction",
    "PAGE...",
    "PageHuge() of struct pages without a reference, then isolate_or_dissolve_huge_page()",
    _make_compaction,
    uses_pool=True,
    reads=True,
)
