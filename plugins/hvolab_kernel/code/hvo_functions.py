# SPDX-License-Identifier: GPL-2.0-only
"""The functions of mm/hugetlb_vmemmap.c that the compiler left in a kernel."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from hvolab_vmlinux.kernel import Kernel

#: Names of functions that optimize, without leading underscores and compilers' suffixes.
OPTIMIZING: Final = frozenset(
    {
        "vmemmap_remap_pte",
        "vmemmap_remap_free",
        "hugetlb_vmemmap_optimize",
        "hugetlb_vmemmap_optimize_folio",
        "hugetlb_vmemmap_optimize_folios",
    }
)
#: Names of all functions of HVO, without underscores and suffixes too.
ALL: Final = OPTIMIZING | {
    "vmemmap_split_pmd",
    "vmemmap_pmd_entry",
    "vmemmap_pte_entry",
    "vmemmap_remap_range",
    "vmemmap_restore_pte",
    "vmemmap_remap_split",
    "vmemmap_remap_alloc",
    "alloc_vmemmap_page_list",
    "free_vmemmap_page_list",
    "vmemmap_should_optimize_folio",
    "hugetlb_vmemmap_restore",
    "hugetlb_vmemmap_restore_folio",
    "hugetlb_vmemmap_restore_folios",
    "hugetlb_vmemmap_split_folio",
}


def hvo_functions(kernel: Kernel, wanted: AbstractSet[str] = ALL) -> tuple[str, ...]:
    """Return the symbols of HVO's functions, by address; `wanted` has names as :data:`ALL` has them."""
    placed = [
        (address, name)
        for name in kernel.symbols.containing("vmemmap_")
        # __pfx_ marks the padding before a function
        if not name.startswith("__pfx_") and name.partition(".")[0].strip("_") in wanted
        for address in kernel.symbols.all(name)
    ]
    return tuple(dict.fromkeys(name for _, name in sorted(placed)))
