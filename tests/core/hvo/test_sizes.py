# SPDX-License-Identifier: GPL-2.0-only
"""Sizes of the vmemmap of huge pages."""

from __future__ import annotations

import pytest

from hvolab.hvo import VmemmapSizes


@pytest.mark.parametrize(
    ("order", "page_size", "pages", "saved"),
    [(9, 4096, 8, 7), (18, 4096, 4096, 4095), (13, 1 << 16, 8, 7), (4, 4096, 1, 0), (6, 4096, 1, 0), (7, 4096, 2, 1)],
)
def test_all_but_one_page_can_be_freed(order: int, page_size: int, pages: int, saved: int) -> None:
    sizes = VmemmapSizes(order, page_size, 64)
    assert (sizes.pages, sizes.saved_pages) == (pages, saved)
    assert sizes.size == 64 << order
    assert sizes.optimizable is (saved > 0)
    assert sizes.optimizable_size == saved * page_size
    assert (sizes.reserve, sizes.reserve_pages) == (page_size, page_size // 64)


def test_struct_pages_that_straddle_pages_cannot_be_optimized() -> None:
    sizes = VmemmapSizes(9, 4096, 56)
    assert (sizes.optimizable_size, sizes.saved_pages) == (0, 0)
    assert not sizes.optimizable
