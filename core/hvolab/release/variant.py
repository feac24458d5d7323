# SPDX-License-Identifier: GPL-2.0-only
"""Variants of HVO's code in kernels of several releases, as facts that the engine follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hvolab.release.gfp import describe


def fact(meaning: str, show: Callable[[Any], str] = str) -> Any:
    """Return a field; metadata: its meaning, and the text of a value."""
    return field(metadata={"meaning": meaning, "show": show})


def gfp(meaning: str) -> Any:
    """Return a fact that is a GFP mask, or None."""
    return fact(meaning, lambda mask: str(mask and describe(mask)))


@dataclass(frozen=True, kw_only=True)
class HvoVariant:
    """One variant, by facts; the metadata of a fact has its meaning. Kernel: mm/hugetlb_vmemmap.c."""

    head_gfp: int | None = gfp("flags of the new head page; None: the head keeps its page")
    head_required: bool = fact("without a new head page a folio is not optimized (-ENOMEM)")
    copies_mapped: bool = fact("restored pages are copies of what their entries map, and none of it is reset")
    walks_head: bool = fact(
        "restoring begins with the head's entry, whose page all tails must map; a rollback keeps it"
    )
    flushes_head: bool = fact("the head page is in the range that is flushed")
    shares_tail_page: bool = fact("the tails of all folios of an order in a zone share one page")
    counts_folios: bool = fact("the static key counts optimized folios")
    counts_memmap: bool = fact("pages of vmemmap are counted in nr_memmap_pages and nr_memmap_boot_pages")
    waits_for_rcu: bool = fact("the entries of a folio change after a grace period")
    refuses_optimized: bool = fact("an optimized folio is not optimized again")
    looks_first: bool = fact("self-hosted vmemmap is found before the folio is counted, not in the walk")
    first_in_first_out: bool = fact("pages are freed and mapped in the order in which they were found")
    marks_tables: bool = fact("struct pages of page tables are marked as such, and as the kernel's own")
    flushes_for_none: bool = fact("a batch of none flushes twice, else once")
    table_gfp: int = gfp("flags of page tables")
    restore_gfp: int = gfp("flags of the pages of a restored folio")
