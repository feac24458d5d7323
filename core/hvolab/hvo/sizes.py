# SPDX-License-Identifier: GPL-2.0-only
"""Sizes of the vmemmap of a huge page. Kernel: mm/hugetlb_vmemmap.h, v6.12."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol


class HasOrder(Protocol):
    """An hstate as HVO needs it: the order of its huge pages."""

    @property
    def order(self) -> int:
        """log2 of the base pages of one huge page."""
        ...


@dataclass(frozen=True)
class VmemmapSizes:
    """Sizes of the vmemmap of one huge page.

    order             log2 of its base pages
    page_size         bytes of a base page
    struct_page_size  bytes of a struct page
    """

    order: int
    page_size: int
    struct_page_size: int

    @property
    def reserve(self) -> int:
        """Bytes that are never freed. Kernel: HUGETLB_VMEMMAP_RESERVE_SIZE."""
        return self.page_size

    @property
    def reserve_pages(self) -> int:
        """Struct pages that are never freed. Kernel: HUGETLB_VMEMMAP_RESERVE_PAGES."""
        return self.reserve // self.struct_page_size

    @property
    def size(self) -> int:
        """Bytes of vmemmap. Kernel: hugetlb_vmemmap_size()."""
        return self.struct_page_size << self.order

    @cached_property
    def optimizable_size(self) -> int:
        """Bytes that can be freed. Kernel: hugetlb_vmemmap_optimizable_size()."""
        if self.struct_page_size & (self.struct_page_size - 1):
            return 0  # a struct page would straddle two pages, and tail pages would not be alike
        return max(0, self.size - self.reserve)

    @property
    def optimizable(self) -> bool:
        """True if any can be freed. Kernel: hugetlb_vmemmap_optimizable()."""
        return self.optimizable_size > 0

    @property
    def pages(self) -> int:
        """Pages of vmemmap, at least one."""
        return max(1, self.size // self.page_size)

    @property
    def saved_pages(self) -> int:
        """Frames that an optimized folio saves."""
        return self.optimizable_size // self.page_size
