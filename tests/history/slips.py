# SPDX-License-Identifier: GPL-2.0-only
"""Slips that kernel developers make in mm/hugetlb_vmemmap.c, and harmless edits, as small substitutions.

Each text is in the file of 6.12 once. A slip names the scenarios in which it shows, and a part of what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Slip:
    """An edit that breaks something.

    name       the slip in a sentence
    edits      texts of the file, and what replaces each
    caught     part of a difference, a finding or an error that it leads to; empty: none
    scenario   part of the names of the scenarios that show it, which are in --quick
    needs      what would show it where nothing does; empty: it shows
    same_on    beginning of the names of images on which the edit changes nothing; empty: none
    """

    name: str
    edits: Mapping[str, str]
    caught: str
    scenario: str = "2M boot: optimize"
    needs: str = ""
    same_on: str = ""


@dataclass(frozen=True)
class Harmless:
    """An edit that changes nothing that has to hold.

    name   the edit in a sentence
    edits  texts of the file, and what replaces each
    model  True if it does not change what is done, either, so that the model agrees
    cc     the compiler; empty: gcc
    """

    name: str
    edits: Mapping[str, str]
    model: bool = True
    cc: str = ""


_SET_FLAG: Final = "\tfolio_set_hugetlb_vmemmap_optimized(folio);\n"
_FAILED: Final = "out:\n\tif (ret) {\n"
_UNDO_KEY: Final = "\t\tstatic_branch_dec(&hugetlb_optimize_vmemmap_key);\n"
_UNDO_FLAG: Final = "\t\tfolio_clear_hugetlb_vmemmap_optimized(folio);\n"
_UNDO: Final = _UNDO_KEY + _UNDO_FLAG
_COUNT: Final = "\tmemmap_pages_add(nr_pages);\n"
_FREE_LIST: Final = "\tfree_vmemmap_page_list(&vmemmap_pages);\n}"
_DEFINE_KEY: Final = "DEFINE_STATIC_KEY_FALSE(hugetlb_optimize_vmemmap_key);"
_WAIT: Final = "\t\tsynchronize_rcu();\n\t/*\n\t * Very"
_SPLIT: Final = "\t\tint ret = hugetlb_vmemmap_split_folio(h, folio);\n"
_RESERVED: Final = "if (!PageReserved(head))"
_ALLOCATE_TABLE: Final = "pgtable = pte_alloc_one_kernel(&init_mm);\n"
_LOCK: Final = "spin_lock(&init_mm.page_table_lock);\n"
_UNLOCK_MM: Final = "mmap_read_unlock(&init_mm);\n"
_IF_FAILED: Final = "\tif (ret)\n\t\treturn ret;\n"
_MAP_TAIL: Final = "\tset_pte_at(&init_mm, addr, pte, mk_pte(dst, PAGE_KERNEL));\n"
_FREE_EACH: Final = "list_for_each_entry_safe(page, next, list, lru)\n\t\t"
_RESTORE: Final = "2M boot: restore next to"
_RESTORE_BATCH: Final = "2M boot: restore a batch below three PMDs"
_BATCH: Final = "2M boot: batch below three PMDs"

SLIPS: Final = (
    Slip(
        "the flag is set after the head was copied",
        {_SET_FLAG: "", _FAILED: f"\tif (!ret)\n\t{_SET_FLAG}{_FAILED}"},
        "no optimized flag when its head page is copied",
    ),
    Slip("a buddy block is not split", {_RESERVED: "if (0)"}, "against its owner", "2M buddy: optimize"),
    Slip(
        "a list is walked on from pages that were freed",
        {f"{_FREE_EACH}free_vmemmap_page": "list_for_each_entry(page, list, lru)\n\t\tfree_vmemmap_page"},
        "0xdead",
    ),
    Slip(
        "what was allocated for a restore that fails is walked on from pages that were freed",
        {f"{_FREE_EACH}__free_page": "list_for_each_entry(page, list, lru)\n\t\t__free_page"},
        "0xdead",
        _RESTORE,
    ),
    Slip(
        "a size of which HVO frees nothing is optimized",
        {"\tif (!hugetlb_vmemmap_optimizable(h))\n\t\treturn false;\n": ""},
        "vmemmap is one page",
        "256K boot: optimize",
    ),
    Slip(
        "restored folios stay in the list that was given",
        {"\t\tlist_move(&folio->lru, non_hvo_folios);\n": ""},
        "not in the list of restored ones",
        _RESTORE_BATCH,
    ),
    Slip(
        "folios that were not optimized stay in the list that was given",
        {"\t\tlist_move(&folio->lru": "\t\tif (restored)\n\t\t\tlist_move(&folio->lru"},
        "still in its list",
        "2M boot: restore a list, none optimized",
    ),
    Slip("a block of reserved pages is split", {_RESERVED: "if (1)"}, "against its owner"),
    Slip(
        "pages are counted before they are allocated",
        {_COUNT: "", "\tfor (i = 0; i < nr_pages; i++) {": f"{_COUNT}\tfor (i = 0; i < nr_pages; i++) {{"},
        "nr_memmap_pages",
        _RESTORE,
    ),
    Slip(
        "pages of a batch are freed without a flush",
        {f"\tflush_tlb_all();\n{_FREE_LIST}": _FREE_LIST},
        "flush_tlb_all",
        _BATCH,
    ),
    Slip(
        "pages are freed before the flush when a batch runs out of memory",
        {"\t\t\tflush_tlb_all();\n": ""},
        "flush_tlb_all",
        _BATCH,
    ),
    Slip(
        "the list of freed pages is not emptied for the retry",
        {"\t\t\tINIT_LIST_HEAD(&vmemmap_pages);\n": ""},
        "against its owner",
        _BATCH,
    ),
    Slip(
        "the rollback is one page short",
        {"walk.nr_walked * PAGE_SIZE": "(walk.nr_walked - 1) * PAGE_SIZE"},
        "flush_tlb_kernel_range",
        "1G boot: optimize",
    ),
    Slip("tails stay writable", {"PAGE_KERNEL_RO);": "PAGE_KERNEL);"}, "pte entry", same_on="riscv"),
    Slip(
        "each folio of a batch waits for a grace period",
        {"\n\t\tflags &= ~VMEMMAP_SYNCHRONIZE_RCU;": ""},
        "synchronize_rcu",
        _BATCH,
    ),
    Slip(
        "each folio of a restored list waits for a grace period",
        {"\n\t\t\tflags &= ~VMEMMAP_SYNCHRONIZE_RCU;": ""},
        "synchronize_rcu",
        _RESTORE_BATCH,
    ),
    Slip(
        "the lock is kept after a split",
        {"\tspin_unlock(&init_mm.page_table_lock);\n\n\treturn 0;": "\n\treturn 0;"},
        "lock",
    ),
    Slip(
        "the head page is allocated with other flags",
        {"alloc_pages_node(nid, GFP_KERNEL, 0)": "alloc_pages_node(nid, GFP_ATOMIC, 0)"},
        "allocate(",
    ),
    Slip(
        "the head page is allocated on any node",
        {"nid = folio_nid(folio);": "nid = NUMA_NO_NODE;"},
        "",
        needs="a second node",
    ),
    Slip("the key keeps a folio that was not optimized", {_UNDO: _UNDO_FLAG}, "static key"),
    Slip("the flag stays on a folio that was not optimized", {_UNDO: _UNDO_KEY}, "private"),
    Slip("a page is used for each tail that is restored", {"\tlist_del(&dst->lru);\n": ""}, "pte entry", _RESTORE),
    Slip(
        "restored tails are not copied",
        {"copy_page(page_to_virt(dst), page_to_virt(src));": ""},
        "struct page of PFN",
        _RESTORE,
    ),
    Slip(
        "restored tails are read-only",
        {"mk_pte(dst, PAGE_KERNEL)": "mk_pte(dst, PAGE_KERNEL_RO)"},
        "pte entry",
        _RESTORE,
        same_on="riscv",
    ),
    Slip(
        "self-hosted vmemmap is freed",
        {"ret = -ENOTSUPP;": "ret = 0;"},
        "against its owner",
        "2M self-hosted: optimize",
    ),
    Slip(
        "the head's page is restored too",
        {"\tvmemmap_start\t+= HUGETLB_VMEMMAP_RESERVE_SIZE;\n": ""},
        "allocate(",
        _RESTORE,
    ),
    Slip("boot pages are freed as buddy pages", {"\tif (PageReserved(page)) {": "\tif (0) {"}, "nr_memmap_boot_pages"),
    Slip(
        "boot pages are subtracted from the other counter",
        {"memmap_boot_pages_add(-1);": "memmap_pages_add(-1);"},
        "nr_memmap",
    ),
    Slip(
        "pages are lost when one cannot be allocated",
        {"\t\t__free_page(page);\n\treturn -ENOMEM;": "\t\t;\n\treturn -ENOMEM;"},
        "free",
        _RESTORE,
    ),
    Slip(
        "restoring without memory succeeds",
        {"\t\t__free_page(page);\n\treturn -ENOMEM;": "\t\t__free_page(page);\n\treturn 0;"},
        "result of restore",
        _RESTORE,
    ),
    Slip(
        "the new head page is not a copy", {"copy_page(page_to_virt(vmemmap_head), folio);": ""}, "struct page of PFN"
    ),
    Slip(
        "a batch without memory goes on splitting", {"\t\tif (ret == -ENOMEM)\n\t\t\tbreak;\n": ""}, "allocate(", _BATCH
    ),
    Slip("a split is not flushed", {"if (!(walk->flags & VMEMMAP_SPLIT_NO_TLB_FLUSH))": "if (0)"}, "flush_tlb"),
    Slip("the last entry of a new table is empty", {"i < PTRS_PER_PTE;": "i < PTRS_PER_PTE - 1;"}, "pte entry"),
    Slip("a restored list is not counted", {"\t\t\trestored++;\n": ""}, "result of restore_list", _RESTORE_BATCH),
    Slip("the new head page is not counted", {"\tmemmap_pages_add(1);\n": ""}, "nr_memmap_pages"),
    Slip(
        "a table is allocated with the lock held",
        {f"\t{_ALLOCATE_TABLE}": f"\t{_LOCK}\t{_ALLOCATE_TABLE}\tspin_unlock(&init_mm.page_table_lock);\n"},
        "may sleep, with",
    ),
    Slip(
        "the lock of the address space is kept on a failure",
        {f"\t{_UNLOCK_MM}{_IF_FAILED}": f"{_IF_FAILED}\t{_UNLOCK_MM}"},
        "mmap_lock of init_mm",
    ),
    Slip("the new head page stays on the list", {"\t\tlist_del(&walk->vmemmap_head->lru);\n": ""}, "an entry maps it"),
    Slip(
        "the new head page is read-only",
        {"mk_pte(walk->vmemmap_head, PAGE_KERNEL)": "mk_pte(walk->vmemmap_head, PAGE_KERNEL_RO)"},
        "pte entry",
        same_on="riscv",
    ),
    Slip(
        "a page fewer is allocated",
        {"for (i = 0; i < nr_pages; i++) {": "for (i = 1; i < nr_pages; i++) {"},
        "did not return",
        _RESTORE,
    ),
    Slip(
        "a batch is freed before its flush",
        {f"\tflush_tlb_all();\n{_FREE_LIST}": f"{_FREE_LIST[:-1]}\tflush_tlb_all();\n}}"},
        "were freed before the VAs",
        _BATCH,
    ),
    Slip(
        "a page of a split is flushed",
        {"flush_tlb_kernel_range(start, start + PMD_SIZE);": "flush_tlb_kernel_range(start, start + PAGE_SIZE);"},
        "flush_tlb_kernel_range",
    ),
    Slip(
        "the next folio is read from a head page that is not a copy",
        {"copy_page(page_to_virt(vmemmap_head), folio);": ""},
        "passed an address that cannot be read",
        _BATCH,
    ),
    Slip(
        "a grace period with the lock held",
        {f"\t{_LOCK}\tif (likely": f"\t{_LOCK}\tsynchronize_rcu();\n\tif (likely"},
        "may sleep, with",
    ),
    Slip(
        "restored tails are mapped before they are copied",
        {"\tcopy_page(page_to_virt(dst)": f"{_MAP_TAIL}\tcopy_page(page_to_virt(dst)"},
        "",
        needs="a second CPU",
    ),
    Slip(
        "a table is lost if another CPU has split the PMD",
        {"\t\tpte_free_kernel(&init_mm, pgtable);\n": "\t\t;\n"},
        "",
        needs="a second CPU",
    ),
    Slip(
        "entries of a new table are not ordered before the table",
        {"\t\tsmp_wmb();\n\t\tpmd_populate_kernel": "\t\tpmd_populate_kernel"},
        "",
        needs="a weak memory order",
    ),
)

HARMLESS: Final = (
    Harmless(
        "a function is not inlined", {"static int vmemmap_remap_split(": "static noinline int vmemmap_remap_split("}
    ),
    Harmless(
        "a comment",
        {_DEFINE_KEY: f"/* */\n{_DEFINE_KEY}"},
    ),
    Harmless(
        "a local variable",
        {
            "\tint nid, ret = 0;\n": "\tint nid, ret = 0;\n\tbool first = flags & VMEMMAP_SYNCHRONIZE_RCU;\n",
            f"\tif (flags & VMEMMAP_SYNCHRONIZE_RCU)\n{_WAIT}": f"\tif (first)\n{_WAIT}",
        },
    ),
    Harmless("another compiler", {}, cc="clang-19"),
    Harmless(
        "pages are freed in another order",
        {"\tlist_add(&page->lru, walk->vmemmap_pages);": "\tlist_add_tail(&page->lru, walk->vmemmap_pages);"},
        model=False,
    ),
    Harmless(
        "a function has another name",
        {
            "static int vmemmap_remap_split(": "static int vmemmap_split_range(",
            "return vmemmap_remap_split(": "return vmemmap_split_range(",
        },
    ),
    Harmless(
        "the scheduler may run between folios",
        {_SPLIT: f"{_SPLIT}\n\t\tcond_resched();\n"},
    ),
)
