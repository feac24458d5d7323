"""The forms that HVO's code has in kernels of several releases: what differs, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab.machine.frames.gfp import (
    GFP_KERNEL,
    GFP_PGTABLE_KERNEL,
    GFP_PGTABLE_KERNEL_6_1,
    GFP_VMEMMAP_HEAD,
    GFP_VMEMMAP_RESTORE,
    GFP_VMEMMAP_RESTORE_6_1,
)


@dataclass(frozen=True)
class HvoVariant:
    """One form; what is not said otherwise is as in v6.12.

    name               the release that it was first seen in, or is documented by
    head_gfp           what the new head page is asked for with; None: the head keeps its page
    head_required      without a new head page a folio is not optimized (-ENOMEM); else its old one stays the head
    copies_mapped      a restored page is a copy of the page that its entry maps, through the direct map, and stays one;
                       else of the head page, through the vmemmap, and its first struct pages are reset
    walks_head         restoring walks the head page's entry too, which tells the page that all tails must be mapped to;
                       else it begins with the first tail, and flushes no more; and a rollback gives every page that is
                       mapped as tails are another one, the head's too where they share that
    flushes_head       the head page is in the range that is flushed, where it is walked
    shares_tail_page   the tails of all folios of an order in a zone are mapped to one page, which is asked for with the
                       first of them and kept; else to their head's
    counts_folios      the static key counts optimized folios
    counts_memmap      pages of vmemmap are counted in nr_memmap_pages and nr_memmap_boot_pages
    waits_for_rcu      a grace period is waited for before a folio's entries change
    refuses_optimized  a folio that is optimized already is left alone; else its callers must see to that
    looks_first        whether the vmemmap is self-hosted is looked at before anything is counted, not in the walk
    first_in_first_out  pages on the list are added at its end; else at its beginning
    marks_tables       the struct page of a page table is marked as one, and as the kernel's own
    flushes_for_none   a batch flushes everything twice for an empty list too; else once
    table_gfp          what page tables are asked for with
    restore_gfp        what the pages of a restored folio are asked for with
    """

    name: str
    head_gfp: int | None = GFP_VMEMMAP_HEAD
    head_required: bool = False
    copies_mapped: bool = False
    walks_head: bool = True
    flushes_head: bool = True
    shares_tail_page: bool = False
    counts_folios: bool = True
    counts_memmap: bool = True
    waits_for_rcu: bool = True
    refuses_optimized: bool = True
    looks_first: bool = False
    first_in_first_out: bool = False
    marks_tables: bool = False
    flushes_for_none: bool = True
    table_gfp: int = GFP_PGTABLE_KERNEL
    restore_gfp: int = GFP_VMEMMAP_RESTORE

    @property
    def departures(self) -> tuple[str, ...]:
        """What is otherwise than in v6.12, in a sentence each."""
        return tuple(
            f"{name}: {sentence}"
            for name, sentence in _DEPARTURES.items()
            if getattr(self, name) != getattr(V6_12, name)
        )


#: What each difference to v6.12 is, as a reader is told it.
_DEPARTURES: Final = {
    "head_gfp": "the new head page is asked for with other flags, or the head keeps its page",
    "head_required": "without a new head page a folio is not optimized",
    "copies_mapped": "restored pages are copies of what their entries map, and their first struct pages are not reset",
    "walks_head": "restoring begins with the first tail, and a rollback gives the head another page if tails share its",
    "flushes_head": "the head page is not flushed",
    "shares_tail_page": "the tails of all folios of an order in a zone share one page",
    "counts_folios": "there is no static key",
    "counts_memmap": "pages of vmemmap are not counted",
    "waits_for_rcu": "no grace period is waited for",
    "refuses_optimized": "a folio that is optimized already is not refused",
    "looks_first": "self-hosted vmemmap is told before the folio is counted",
    "first_in_first_out": "pages are freed and mapped in the order in which they were found",
    "marks_tables": "the struct pages of page tables are marked",
    "flushes_for_none": "a batch of none flushes once",
    "table_gfp": "page tables are asked for with other flags",
    "restore_gfp": "the pages of a restored folio are asked for with other flags",
}

#: Kernel: mm/hugetlb_vmemmap.c, v6.12.
V6_12: Final = HvoVariant("6.12")
#: Kernel: mm/hugetlb_vmemmap.c with vmemmap_head and vmemmap_tail in struct vmemmap_remap_walk, as Debian's 6.12.117
#: has it and 6.12.107 does not: read from its machine code, and compared with what that does.
V6_12_117: Final = HvoVariant("6.12.117", GFP_KERNEL, head_required=True, copies_mapped=True, walks_head=False)
#: Kernel: mm/hugetlb_vmemmap.c, v7.2.
V7_2: Final = HvoVariant(
    "7.2",
    GFP_KERNEL,
    head_required=True,
    copies_mapped=True,
    walks_head=False,
    shares_tail_page=True,
    counts_folios=False,
    waits_for_rcu=False,
    marks_tables=True,
    flushes_for_none=False,
)
#: Kernel: mm/hugetlb_vmemmap.c, v6.1.
V6_1: Final = HvoVariant(
    "6.1",
    None,
    flushes_head=False,
    counts_memmap=False,
    waits_for_rcu=False,
    refuses_optimized=False,
    looks_first=True,
    first_in_first_out=True,
    table_gfp=GFP_PGTABLE_KERNEL_6_1,
    restore_gfp=GFP_VMEMMAP_RESTORE_6_1,
)
#: Every variant, by release.
VARIANTS: Final = (V6_1, V6_12, V6_12_117, V7_2)
