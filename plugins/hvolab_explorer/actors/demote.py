# SPDX-License-Identifier: GPL-2.0-only
"""Folios that are demoted to several smaller ones.

Kernel: demote_pool_huge_page(), demote_free_hugetlb_folios() in mm/hugetlb.c, v6.12: a list is restored, each
folio is split, and the list of its parts is optimized.
Left out: what demote_store() checks before. The smaller size is the next one, and the target needs a size with few
parts, as 32 MiB on arm64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.hugetlb.demote import demote_pool_huge_page
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    return lambda: demote_pool_huge_page(world.pools[cpu], world.smaller_pools[cpu], len(places))


DEMOTE = ActorKind(
    "demote",
    "FOLIO...",
    "a write to demote that splits as many optimized folios as it names",
    _make,
    starts_optimized=True,
    uses_pool=True,
    demotes=True,
)
