# SPDX-License-Identifier: GPL-2.0-only
"""Callers of HVO: hstates and their pools. Kernel: mm/hugetlb.c, v6.12.

docs/command-line.md lists what they leave out.
"""

from __future__ import annotations

from hvolab.hugetlb.boot import alloc_boot_pages, alloc_bootmem_huge_page, gather_bootmem_prealloc
from hvolab.hugetlb.demote import demote_pool_huge_page
from hvolab.hugetlb.hstate import Hstate, hstates
from hvolab.hugetlb.memory_failure import memory_failure
from hvolab.hugetlb.parameters import BootRequests, cma_areas, parse_hugetlb
from hvolab.hugetlb.pool import Pool
from hvolab.hugetlb.raw_hwp import EHWPOISON
from hvolab.hugetlb.reservations import fault, reserve, unreserve

__all__ = [
    "EHWPOISON",
    "BootRequests",
    "Hstate",
    "Pool",
    "alloc_boot_pages",
    "alloc_bootmem_huge_page",
    "cma_areas",
    "demote_pool_huge_page",
    "fault",
    "gather_bootmem_prealloc",
    "hstates",
    "memory_failure",
    "parse_hugetlb",
    "reserve",
    "unreserve",
]
