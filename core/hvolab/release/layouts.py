# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of struct page of releases other than v6.12, from the BTF and the code of Debian's kernels."""

from __future__ import annotations

from hvolab.release.free_checks import FREE_CHECKS_6_1
from hvolab.release.struct_page import (
    DEFERRED_LIST,
    ENTIRE_MAPCOUNT,
    LARGE_MAPCOUNT,
    MINUS_ONE,
    NR_PAGES_MAPPED,
    PINCOUNT,
    FolioField,
    FolioStore,
    FolioValue,
    StructPageLayout,
)

_DTOR = FolioField(1, 16, 1, member="_folio_dtor")
_ORDER = FolioField(1, 17, 1, member="_folio_order")
#: Kernel: struct page and struct folio in include/linux/mm_types.h, prep_compound_head() in mm/page_alloc.c,
#: __prep_new_huge_page() in mm/hugetlb.c, v6.1.
LAYOUT_6_1 = StructPageLayout(
    pg_head=16,
    pg_referenced=1,
    pg_reserved=12,
    pg_hwpoison=23,
    free_checks=FREE_CHECKS_6_1,
    gigantic_tail_mapping=False,
    folio_order=_ORDER,
    compound_stores=(
        FolioStore(_DTOR, 1, gigantic=False),  # COMPOUND_PAGE_DTOR
        FolioStore(_ORDER, FolioValue.ORDER),
        FolioStore(FolioField(1, 20, 4, member="_total_mapcount"), MINUS_ONE),
        FolioStore(FolioField(1, 24, 4, member="_pincount"), 0),
        FolioStore(FolioField(1, 28, 4, member="_folio_nr_pages"), FolioValue.PAGES),
    ),
    hugetlb_mark=_DTOR,
    hugetlb_set=2,  # HUGETLB_PAGE_DTOR
    hugetlb_cleared=1,
    gigantic_cleared=0,
    hugetlb_zeroed=(FolioField(1, 32, member="_private_1"), FolioField(2, 40), FolioField(3, 40)),
    hugetlb_hwpoison=FolioField(4, 40),
)
#: Kernel: struct folio in include/linux/mm_types.h, Debian's 6.12.117.
HUGETLB_FIELDS_6_12_117 = (
    FolioField(3, 16, member="_hugetlb_subpool"),
    FolioField(3, 24, member="_hugetlb_cgroup"),
    FolioField(3, 32, member="_hugetlb_cgroup_rsvd"),
)
HUGETLB_HWPOISON_6_12_117 = FolioField(3, 40, member="_hugetlb_hwpoison")
#: Kernel: prep_compound_head() in mm/internal.h, v7.2.
COMPOUND_STORES_7_2 = (
    FolioStore(StructPageLayout().folio_order, FolioValue.ORDER),
    FolioStore(FolioField(1, 16, 4, member="_large_mapcount"), MINUS_ONE, reason=LARGE_MAPCOUNT),
    FolioStore(FolioField(1, 20, 4, member="_nr_pages_mapped"), 0, reason=NR_PAGES_MAPPED),
    FolioStore(FolioField(1, 24, 4, member="_entire_mapcount"), MINUS_ONE, reason=ENTIRE_MAPCOUNT),
    FolioStore(FolioField(1, 28, 4, member="_pincount"), 0, reason=PINCOUNT),
    FolioStore(FolioField(1, 32, member="_mm_id_mapcount"), (1 << 64) - 1, reason="nonzero mm mapcount 0"),
    FolioStore(FolioField(1, 40, member="_mm_id"), 0),
    FolioStore(FolioField(1, 56, 4, member="_nr_pages"), FolioValue.PAGES),
    FolioStore(FolioField(2, 16, 16, member="_deferred_list"), FolioValue.EMPTY_LIST, reason=DEFERRED_LIST),
)
