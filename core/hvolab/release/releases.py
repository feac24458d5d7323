# SPDX-License-Identifier: GPL-2.0-only
"""Table of the kernel releases that hvolab models; all differences between them are derived from it.

A release is declared by its changes against the release before it. A change has one sentence, the commit that made it,
and the facts that it sets. The release of a kernel image is found by the features of the changes, never by its number.
"""

from __future__ import annotations

from hvolab.overrides import named
from hvolab.release.faults import DEMOTED_AS_OPTIMIZED, LOST_HEADS, RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD
from hvolab.release.features import KernelFeature
from hvolab.release.free_checks import FREE_CHECKS_7_2
from hvolab.release.gfp import (
    GFP_GIGANTIC,
    GFP_GIGANTIC_6_1,
    GFP_KERNEL,
    GFP_PGTABLE_KERNEL,
    GFP_PGTABLE_KERNEL_6_1,
    GFP_VMEMMAP_HEAD,
    GFP_VMEMMAP_RESTORE,
    GFP_VMEMMAP_RESTORE_6_1,
    Gfp,
)
from hvolab.release.hugetlb import HugetlbVariant
from hvolab.release.kernel_release import KernelChange, KernelRelease, defaults, facts
from hvolab.release.layouts import COMPOUND_STORES_7_2, HUGETLB_FIELDS_6_12_117, HUGETLB_HWPOISON_6_12_117, LAYOUT_6_1
from hvolab.release.variant import HvoVariant

#: Kernel: mm/hugetlb_vmemmap.c, mm/hugetlb.c, v6.1.
V6_1 = KernelRelease(
    "6.1",
    "one head page at a time; the head keeps its frame",
    before=None,
    changes=(),
    variant=HvoVariant(
        head_gfp=None,
        head_required=False,
        copies_mapped=False,
        walks_head=True,
        flushes_head=False,
        shares_tail_page=False,
        counts_folios=True,
        counts_memmap=False,
        waits_for_rcu=False,
        refuses_optimized=False,
        looks_first=True,
        first_in_first_out=True,
        marks_tables=False,
        flushes_for_none=True,
        table_gfp=GFP_PGTABLE_KERNEL_6_1,
        restore_gfp=GFP_VMEMMAP_RESTORE_6_1,
    ),
    hugetlb=HugetlbVariant(
        batches=False,
        marked_first=False,
        stays_frozen=False,
        dissolves_surplus=False,
        counts_surplus_at_once=False,
        persistent_elsewhere=False,
        spares_surplus=False,
        gathers_by_node=False,
        overcommits_gigantic=False,
        late_tails=False,
        clears_parts=True,
        gigantic_gfp=GFP_GIGANTIC_6_1,
    ),
    struct_page=LAYOUT_6_1,
    features=frozenset({KernelFeature.HEADS, KernelFeature.STATIC_KEY}),
)
#: Kernel: mm/hugetlb_vmemmap.c, v6.12.
V6_12 = V6_1.after(
    "6.12",
    "batches, a new head page, grace periods, counters",
    KernelChange(
        "The head's struct pages move to a newly allocated page, and the range that is flushed begins with the head.",
        '11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page to newly allocated page", v6.2)',
        gains=frozenset({KernelFeature.MOVES_HEAD}),
        variant=facts(head_gfp=GFP_VMEMMAP_HEAD | int(Gfp.THISNODE), flushes_head=True),
    ),
    KernelChange(
        "Subpool and cgroup of a hugetlb folio are in its second tail.",
        'dad6a5eb5556 ("mm,hugetlb: use folio fields in second tail page", v6.2)',
        struct_page=defaults("hugetlb_zeroed", "hugetlb_hwpoison"),
    ),
    KernelChange(
        "Struct pages that are freed are checked if check_pages is on, as init_on_alloc=1 has it; then tails of "
        "compound pages are checked, too.",
        '700d2e9a36b9 ("mm, page_alloc: reduce page alloc/free sanity checks", v6.4)',
        struct_page=defaults("free_checks"),
    ),
    KernelChange(
        "The pages of a restored folio are allocated with __GFP_RETRY_MAYFAIL instead of __GFP_NORETRY.",
        'fd435f343485 ("mm: hugetlb_vmemmap: provide stronger vmemmap allocation guarantees", v6.5)',
        variant=facts(restore_gfp=GFP_VMEMMAP_RESTORE | int(Gfp.THISNODE)),
    ),
    KernelChange(
        "Page tables are allocated by pagetable_alloc(), which adds __GFP_COMP.",
        'c787ae5b3914 ("pgalloc: convert various functions to use ptdescs", v6.6)',
        variant=facts(table_gfp=GFP_PGTABLE_KERNEL),
    ),
    KernelChange(
        "PG_head is bit 6, and PG_referenced bit 2.",
        'c704ae979784 ("mm: rearrange page flags", v6.6)',
        struct_page=defaults("pg_head", "pg_referenced"),
    ),
    KernelChange(
        "The order of a folio is in the lowest byte of the flags of its first tail.",
        'ebc1baf5c9b4 ("mm: free up a word in the first tail page", v6.6)',
        struct_page=defaults("folio_order"),
    ),
    KernelChange(
        "A flag of the first tail marks a hugetlb folio, and not the destructor of a compound page.",
        '9c5ccf2db04b ("mm: remove HUGETLB_PAGE_DTOR", v6.6)',
        about="struct page",
    ),
    KernelChange(
        "A request for a node adds the persistent folios of the other nodes to the pool's, and not their surplus.",
        'b72b3c9c34c8 ("mm/hugetlb: fix nodes huge page allocation when there are surplus pages", v6.7)',
        hugetlb=facts(persistent_elsewhere=True),
    ),
    KernelChange(
        "Struct pages of gigantic boot folios that HVO frees are not initialized.",
        'fde1c4ecf916 ("mm: hugetlb: skip initialization of gigantic tail struct pages if freed by HVO", v6.7)',
        hugetlb=facts(late_tails=True),
    ),
    KernelChange(
        "A pool grows by a list: its folios are allocated, then optimized, then counted and enqueued.",
        'd67e32f26713 ("hugetlb: restructure pool allocations", v6.7)',
        about="hugetlb",
    ),
    KernelChange(
        "The pages of a restored folio may come from any node.",
        '2eaa6c2abb9d ("mm: hugetlb_vmemmap: fix hugetlb page number decrease failed on movable nodes", v6.7)',
        variant=facts(restore_gfp=GFP_VMEMMAP_RESTORE),
    ),
    KernelChange(
        "The new head page may come from any node.",
        '6a898c2757af ("mm: hugetlb_vmemmap: allow alloc vmemmap pages fallback to other nodes", v6.7)',
        variant=facts(head_gfp=GFP_VMEMMAP_HEAD),
    ),
    KernelChange(
        "A list of folios is optimized by hugetlb_vmemmap_optimize_folios(); optimized ones are skipped.",
        '79359d6d24df ("hugetlb: perform vmemmap optimization on a list of pages", v6.7)',
        gains=frozenset({KernelFeature.BATCHES}),
        variant=facts(refuses_optimized=True),
        hugetlb=facts(batches=True),
    ),
    KernelChange(
        "A list of folios is restored by hugetlb_vmemmap_restore_folios().",
        'cfb8c75099db ("hugetlb: perform vmemmap restoration on a list of pages", v6.7)',
    ),
    KernelChange(
        "Replaced pages are freed after the whole list, and lists of pages are last in, first out.",
        '91f386bf0772 ("hugetlb: batch freeing of vmemmap pages", v6.7)',
        variant=facts(first_in_first_out=False),
    ),
    KernelChange(
        "The PMDs of a list are split before the first folio is remapped, with one flush of the TLB.",
        'f4b7e3efaddb ("hugetlb: batch PMD split for bulk vmemmap dedup", v6.7)',
    ),
    KernelChange(
        "A list that is optimized is flushed once, after its last folio, and not folio by folio.",
        'f13b83fdd996 ("hugetlb: batch TLB flushes when freeing vmemmap", v6.7)',
    ),
    KernelChange(
        "A list that is restored is flushed once, after its last folio, and not folio by folio.",
        'c24f188b2289 ("hugetlb: batch TLB flushes when restoring vmemmap", v6.7)',
    ),
    KernelChange(
        "A new folio is marked as hugetlb's before it is optimized.",
        'd8f5f7e445f0 ("hugetlb: set hugetlb page flag before optimizing vmemmap", v6.7)',
        hugetlb=facts(marked_first=True),
    ),
    KernelChange(
        "The functions of HVO take folios instead of head pages.",
        'c5ad3233ead5 ("hugetlb_vmemmap: use folio argument for hugetlb_vmemmap_* functions", v6.7)',
        gains=frozenset({KernelFeature.FOLIOS}),
        loses=frozenset({KernelFeature.HEADS}),
    ),
    KernelChange(
        "Self-hosted vmemmap is found by the walk, after the static key has counted the folio.",
        'be035a2acf1f ("mm: hugetlb_vmemmap: move PageVmemmapSelfHosted() check to split_vmemmap_huge_pmd()", v6.8)',
        variant=facts(looks_first=False),
    ),
    KernelChange(
        "A page type marks a hugetlb folio.",
        'd99e3140a4d3 ("mm: turn folio_test_hugetlb into a PageType", v6.9)',
        about="struct page",
    ),
    KernelChange(
        "The first tail counts all mappings of a folio in _large_mapcount, and other fields of it have moved.",
        '05c5323b2a34 ("mm: track mapcount of large folios in single value", v6.10)',
        struct_page=defaults("compound_stores"),
    ),
    KernelChange(
        "The pages of the vmemmap are counted in nr_memmap_pages and nr_memmap_boot_pages.",
        '15995a352474 ("mm: report per-page metadata information", v6.11)',
        gains=frozenset({KernelFeature.COUNTERS}),
        variant=facts(counts_memmap=True),
    ),
    KernelChange(
        "An RCU grace period precedes the change of a folio's entries.",
        'bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers", v6.11)',
        faults=(SKIPPED_GRACE_PERIOD,),
        gains=frozenset({KernelFeature.WAITS_FOR_RCU}),
        variant=facts(waits_for_rcu=True),
    ),
    KernelChange(
        "A folio that is removed from its pool gets no reference, and loses HPG_freed.",
        'bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers", v6.11)',
        hugetlb=facts(stays_frozen=True),
    ),
    KernelChange(
        "Surplus folios for reservations are allocated with each allowed node in turn as the preferred one.",
        '003af997c8a9 ("hugetlb: force allocating surplus hugepages on mempolicy allowed nodes", v6.11)',
        hugetlb=facts(gathers_by_node=True),
    ),
    KernelChange(
        "A page has one type, a number in the top byte of page_type.",
        '4ffca5a96678 ("mm: support only one page_type per page", v6.12)',
        struct_page=defaults("hugetlb_mark", "hugetlb_set", "hugetlb_cleared", "gigantic_cleared"),
    ),
    KernelChange(
        "PG_reserved is bit 13, and PG_hwpoison bit 20.",
        '02e1960aafac ("mm: rename PG_mappedtodisk to PG_owner_2", v6.12)',
        struct_page=defaults("pg_reserved", "pg_hwpoison"),
    ),
    KernelChange(
        "Demotion restores a list of folios and optimizes a list of their parts; one that fails does not end it.",
        'c0f398c3b2cf ("mm/hugetlb_vmemmap: batch HVO work when demoting", v6.12)',
        about="hugetlb",
    ),
    KernelChange(
        "Gigantic folios are allocated as compound pages, and their tails have TAIL_MAPPING.",
        'cf54f310d0d3 ("mm/hugetlb: use __GFP_COMP for gigantic folios", v6.12)',
        hugetlb=facts(gigantic_gfp=GFP_GIGANTIC),
        struct_page=facts(gigantic_tail_mapping=True),
    ),
    KernelChange(
        "The parts of a demoted folio keep the flags of their first struct pages, which were tails.",
        'cf54f310d0d3 ("mm/hugetlb: use __GFP_COMP for gigantic folios", v6.12)',
        hugetlb=facts(clears_parts=False),
    ),
)
_DISSOLVES_SURPLUS = (
    KernelChange(
        "Dissolving a surplus folio lowers surplus_hugepages.",
        'cb402bbdabca ("mm/hugetlb: fix surplus pages in dissolve_free_huge_page()", v6.14)',
        about="hugetlb",
    ),
    KernelChange(
        "Dissolving a surplus folio leaves max_huge_pages as it was.",
        '8852a03a1ae7 ("mm/hugetlb: keep max_huge_pages when dissolving surplus folios", v6.12.112)',
        hugetlb=facts(dissolves_surplus=True),
    ),
)
_SPARES_SURPLUS = KernelChange(
    "A shrinking pool frees its free persistent folios although surplus folios are in use.",
    'aabf58bfaace ("mm/hugetlb: fix set_max_huge_pages() when there are surplus pages", v6.15)',
    hugetlb=facts(spares_surplus=True),
)
_COUNTS_SURPLUS_AT_ONCE = KernelChange(
    "A new surplus folio is counted in nr_hugepages and surplus_hugepages at once.",
    '2273dea6b1e1 ("mm/hugetlb: update nr_huge_pages and surplus_huge_pages together", v6.15)',
    hugetlb=facts(counts_surplus_at_once=True),
)
_OVERCOMMITS_GIGANTIC = KernelChange(
    "Surplus folios may be gigantic.",
    'eb02f14c4a2b ("mm/hugetlb: allow overcommitting gigantic hugepages", v6.19)',
    hugetlb=facts(overcommits_gigantic=True),
)
#: Kernel: mm/hugetlb_vmemmap.c with vmemmap_head and vmemmap_tail in struct vmemmap_remap_walk, in Debian's 6.12.117
#: and not in 6.12.107: read from its machine code, and compared with its execution. Both changes of HVO are backports.
V6_12_117 = V6_12.after(
    "6.12.117",
    "restored tails are copies of the page that they share",
    *_DISSOLVES_SURPLUS,
    KernelChange(
        "Subpool and cgroup of a hugetlb folio are in its third tail.",
        '4eeec8c89a0c ("mm: move hugetlb specific things in folio to page[3]", v6.15)',
        struct_page=facts(hugetlb_zeroed=HUGETLB_FIELDS_6_12_117, hugetlb_hwpoison=HUGETLB_HWPOISON_6_12_117),
    ),
    KernelChange(
        "The walk is given the pages to map; a folio without a new head page, allocated with GFP_KERNEL, fails with "
        "-ENOMEM; restoring begins with the first tail page.",
        'c0b495b91a47 ("mm/hugetlb: refactor code around vmemmap_walk", v7.1)',
        gains=frozenset({KernelFeature.NAMES_HEAD_AND_TAIL}),
        variant=facts(head_gfp=GFP_KERNEL, head_required=True, walks_head=False),
        faults=(LOST_HEADS,),
    ),
    KernelChange(
        "A restored tail page is a copy of the page that its entry maps, and none of it is reset.",
        'c7bde43f6daf ("mm/hugetlb_vmemmap: fix incorrect vmemmap restore in rollback", v7.1)',
        variant=facts(copies_mapped=True),
        faults=(RESTORED_AS_HEADS, DEMOTED_AS_OPTIMIZED),
    ),
)
#: Kernel: mm/hugetlb_vmemmap.c, v7.2.
V7_2 = V6_12_117.after(
    "7.2",
    "tails share one page per zone and order; no static key, no grace period",
    KernelChange(
        "A list with no folio to optimize is flushed once, not twice.",
        '752fe17af693 ("mm/hugetlb: add pre-HVO framework", v6.15)',
        variant=facts(flushes_for_none=False),
    ),
    KernelChange(
        "Boot memory of the vmemmap is marked by a type in the low bits of page->private.",
        '0386aaa6e9c8 ("bootmem: stop using page->index", v6.13)',
        struct_page=facts(index=40, bootmem_types=(1, 2)),
    ),
    KernelChange(
        "PG_mlocked is bit 20, and PG_hwpoison bit 21; a page type of the head is cleared when a block is freed.",
        struct_page=facts(free_checks=FREE_CHECKS_7_2, pg_hwpoison=21),
    ),
    KernelChange(
        "The number of pages of a folio is in the last word of its first tail.",
        '4996fc547f5b ("mm: let _folio_nr_pages overlay memcg_data in first tail page", v6.15)',
        about="struct page",
    ),
    KernelChange(
        "The first tail has the IDs of up to two mms that map a folio, and a mapcount for each.",
        '6af8cb80d3a9 ("mm/rmap: basic MM owner tracking for large folios (!hugetlb)", v6.15)',
        struct_page=facts(compound_stores=COMPOUND_STORES_7_2),
    ),
    _SPARES_SURPLUS,
    _COUNTS_SURPLUS_AT_ONCE,
    _OVERCOMMITS_GIGANTIC,
    KernelChange(
        "Surplus folios for reservations are allocated by one call for all allowed nodes.",
        hugetlb=facts(gathers_by_node=False),
    ),
    KernelChange(
        "The struct page of a kernel page table has the page type PGTY_table.",
        '49f599666420 ("mm: call ctor/dtor for kernel PTEs", v6.16)',
    ),
    KernelChange(
        "The struct page of a kernel page table has the flag PT_kernel.",
        '977870522af3 ("mm: actually mark kernel page table pages", v6.19)',
        variant=facts(marks_tables=True),
    ),
    KernelChange(
        "A tail holds a mask, compound_info, which leads from the tail's own VA to the head's.",
        '8c846c879e22 ("mm: rework compound_head() for power-of-2 sizeof(struct page)", v7.1)',
        struct_page=facts(masks_compound=True),
    ),
    KernelChange(
        "The tails of all folios of an order in a zone share one page, which is never freed.",
        '622026e87c40 ("mm/hugetlb: remove fake head pages", v7.1)',
        mends=(LOST_HEADS, RESTORED_AS_HEADS, DEMOTED_AS_OPTIMIZED),
        gains=frozenset({KernelFeature.SHARES_TAIL_PAGE}),
        variant=facts(shares_tail_page=True),
    ),
    KernelChange(
        "No grace period precedes the change of a folio's entries.",
        '01b1d0ffb6f7 ("hugetlb: remove VMEMMAP_SYNCHRONIZE_RCU", v7.1)',
        mends=(SKIPPED_GRACE_PERIOD,),
        loses=frozenset({KernelFeature.WAITS_FOR_RCU}),
        variant=facts(waits_for_rcu=False),
    ),
    KernelChange(
        "No static key counts optimized folios.",
        'da3e2d1ca43d ("mm/hugetlb: remove hugetlb_optimize_vmemmap_key static key", v7.1)',
        loses=frozenset({KernelFeature.STATIC_KEY}),
        variant=facts(counts_folios=False),
    ),
)
#: Kernel: a series of 2026 that is not in a release, for architectures that need break-before-make.
MM_2026 = V6_12.after(
    "mm-2026",
    "entries are replaced by clearing the accessed flag and a compare-and-swap, which can fail",
    *_DISSOLVES_SURPLUS,
    _SPARES_SURPLUS,
    _COUNTS_SURPLUS_AT_ONCE,
    _OVERCOMMITS_GIGANTIC,
    anywhere=False,
)
#: The release that is modeled where none is named.
DEFAULT = V6_12
#: Every release, the oldest first.
RELEASES = (V6_1, V6_12, V6_12_117, V7_2, MM_2026)


def release_named(name: str | None) -> KernelRelease:
    """Return the release of that name, ``None``: the default; raises UsageError with the names that exist."""
    return DEFAULT if name is None else named(RELEASES, name, f"hvolab does not know the kernel release {name!r}")


def departures_of(release: KernelRelease) -> tuple[str, ...]:
    """Return the differences of a release from the default one, a sentence and a commit each."""
    more, fewer = release.differences(DEFAULT)
    return (*map(str, more), *(f"not yet: {change}" for change in fewer))
