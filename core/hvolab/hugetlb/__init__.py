"""HVO's callers: hstates and their pools. Kernel: mm/hugetlb.c, v6.12."""

from __future__ import annotations

from hvolab.hugetlb.boot import alloc_bootmem_huge_page, gather_bootmem_prealloc
from hvolab.hugetlb.demote import demote_pool_huge_page
from hvolab.hugetlb.hstate import Hstate, hstates
from hvolab.hugetlb.pool import EBUSY, Pool, VmemmapOptimizer

__all__ = [
    "EBUSY",
    "Hstate",
    "Pool",
    "VmemmapOptimizer",
    "alloc_bootmem_huge_page",
    "demote_pool_huge_page",
    "gather_bootmem_prealloc",
    "hstates",
]
