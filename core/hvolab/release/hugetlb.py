# SPDX-License-Identifier: GPL-2.0-only
"""Variants of hugetlb's code in kernels of several releases, as facts that pools follow."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.release.variant import fact, gfp


@dataclass(frozen=True, kw_only=True)
class HugetlbVariant:
    """One variant, by facts; the metadata of a fact has its meaning. Kernel: mm/hugetlb.c."""

    batches: bool = fact("folios are optimized, restored and demoted in lists, else one by one")
    marked_first: bool = fact("a new folio has the mark of hugetlb before it is optimized")
    stays_frozen: bool = fact(
        "a folio removed from its pool gets no reference, and loses HPG_freed; else it keeps the flag, and has a "
        "reference unless it is demoted"
    )
    dissolves_surplus: bool = fact("dissolving a surplus folio lowers surplus_hugepages, and not nr_hugepages' target")
    counts_surplus_at_once: bool = fact(
        "nr_hugepages and surplus_hugepages count a surplus folio under one acquisition of hugetlb_lock, else under two"
    )
    persistent_elsewhere: bool = fact(
        "a request for a node adds the persistent folios of the other nodes to the pool's, else all of them"
    )
    spares_surplus: bool = fact(
        "a pool shrinks to what its persistent folios in use need, else to what all in use need"
    )
    gathers_by_node: bool = fact(
        "a reservation that lacks folios tries each node in turn as the preferred one, else the first alone"
    )
    overcommits_gigantic: bool = fact("surplus folios may be gigantic")
    late_tails: bool = fact("struct pages of gigantic boot folios that HVO frees are not initialized")
    clears_parts: bool = fact(
        "the parts of a demoted folio have no flags, else each has those of its first struct page"
    )
    gigantic_gfp: int = gfp("flags of gigantic folios")
