# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of releases: what prep_compound_page() and hugetlb write, read from compiled kernels."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.release import KernelRelease, StructPageLayout
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from hvolab.release.struct_page import FolioField, FolioValue

_ONES, _ORDER, _PAGES, _LIST = (1 << 32) - 1, FolioValue.ORDER, FolioValue.PAGES, FolioValue.EMPTY_LIST
#: Stores by release: offset in the folio, bytes, value. Those of 6.1, 6.12.117 and 7.2 are what the functions of
#: Debian's kernels wrote when they ran in an emulator; 6.12 is from cores of 6.12.107.
STORES = {
    V6_1: ((80, 1, 1), (81, 1, _ORDER), (84, 4, _ONES), (88, 4, 0), (92, 4, _PAGES)),
    V6_12: (
        *((64, 8, _ORDER), (80, 4, _ONES), (84, 4, _ONES), (88, 4, 0), (92, 4, 0), (96, 4, _PAGES)),
        (144, 16, _LIST),
    ),
    V7_2: (
        *((64, 8, _ORDER), (80, 4, _ONES), (84, 4, 0), (88, 4, _ONES), (92, 4, 0), (96, 8, (1 << 64) - 1)),
        *((104, 8, 0), (120, 4, _PAGES), (144, 16, _LIST)),
    ),
}
RELEASES = (V6_1, V6_12, V6_12_117, V7_2)


def offset(layout: StructPageLayout, field: FolioField) -> int:
    return field.page * layout.size + field.offset


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_stores_of_a_compound_page_are_those_of_the_kernel(release: KernelRelease) -> None:
    layout = release.struct_page
    seen = [(offset(layout, one.field), one.field.octets, one.value) for one in layout.compound_stores]
    assert sorted(seen, key=lambda one: one[0]) == list(STORES[V6_12 if release is V6_12_117 else release])


@pytest.mark.parametrize(
    ("release", "zeroed", "used"),
    [
        (V6_1, (96, 168, 232), 2),
        (V6_12, (144, 152, 160), 3),
        (V6_12_117, (208, 216, 224), 4),
        (V7_2, (208, 216, 224), 4),
    ],
    ids=str,
)
def test_fields_of_hugetlb_take_the_mapping_of_some_tails(
    release: KernelRelease, zeroed: tuple[int, ...], used: int
) -> None:
    layout = release.struct_page
    assert tuple(offset(layout, field) for field in layout.hugetlb_zeroed) == zeroed
    assert layout.used_subpages == used


@pytest.mark.parametrize(
    ("release", "mark"),
    [(V6_1, (80, 1, 2, 1, 0)), *((one, (48, 4, 0xF4000000, _ONES, _ONES)) for one in RELEASES[1:])],
    ids=str,
)
def test_the_mark_of_hugetlb_is_a_destructor_and_then_a_page_type(release: KernelRelease, mark: Any) -> None:
    layout = release.struct_page
    field, values = layout.hugetlb_mark, (layout.hugetlb_set, layout.hugetlb_cleared, layout.gigantic_cleared)
    assert (offset(layout, field), field.octets, *values) == mark


def test_only_v6_1_leaves_the_mapping_of_gigantic_tails_alone() -> None:
    assert [release for release in RELEASES if not release.struct_page.gigantic_tail_mapping] == [V6_1]
