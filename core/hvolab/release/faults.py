# SPDX-License-Identifier: GPL-2.0-only
"""Known faults of kernel releases, in words, with the commits that make them."""

from __future__ import annotations

from typing import Final

#: Fault of a kernel that has bd225530a4c7 and not 01b1d0ffb6f7.
SKIPPED_GRACE_PERIOD: Final = (
    "No grace period precedes the change of entries in a list whose first folio is skipped, because it is optimized or "
    "HVO is switched off at that time: hugetlb_vmemmap_optimize_folios() drops VMEMMAP_SYNCHRONIZE_RCU after the first "
    "folio of a list, whatever became of it (bd225530a4c7)."
)
#: Faults of a kernel that has c0b495b91a47 and c7bde43f6daf, and not 622026e87c40.
RESTORED_AS_HEADS: Final = (
    "The first struct pages of each restored page are copies of the head and of its first tails: the copy of "
    "c7bde43f6daf without the page of tails of 622026e87c40."
)
LOST_HEADS: Final = (
    "If the second page table or a later one of a gigantic folio cannot be allocated, its new head page is lost, and "
    "counted in nr_memmap_pages: the rollback restores all that maps vmemmap_tail (c0b495b91a47), which is the head "
    "itself without the page of tails of 622026e87c40, and nothing frees the page."
)
DEMOTED_AS_OPTIMIZED: Final = (
    "Parts of a demoted folio that was optimized have HPG_vmemmap_optimized without being optimized, and HVO skips "
    "them: all but the first begin with a copy of the head (c7bde43f6daf), and demotion does not clear its flags "
    "(cf54f310d0d3)."
)
#: Faults of every release modeled here. Kernel: mm/hugetlb.c, mm/memory-failure.c and mm/page_alloc.c, v6.1 to v7.2.
FREED_AS_BLOCK: Final = (
    "free_pages_prepare() keeps a poisoned page off the free lists only if it is freed alone, and memory_failure() "
    'removes the one page that it handles; a series for that is "mm/page_alloc: only free healthy pages in high-order '
    'has_hwpoisoned folio", which v7.2 does not have.'
)
FORGOTTEN: Final = (
    "add_hugetlb_folio() clears HPG_raw_hwp_unreliable of a folio whose vmemmap cannot be restored; once it can be, "
    "the folio is freed as if none of its pages were poisoned."
)
TEMPORARY_AS_SURPLUS: Final = (
    "set_max_huge_pages() counts a temporary folio in use as persistent, and makes it surplus where the pool shrinks "
    "below that; free_huge_folio() frees it without lowering surplus_huge_pages (ab5ac90aecf5)."
)
