# SPDX-License-Identifier: GPL-2.0-only
"""Entries of x86_64: PSE above the last level, PAT in it, addresses of aligned leaves."""

from __future__ import annotations

import pytest

from hvolab.arch import EntryKind
from hvolab_x86_64.entries import FORMAT


@pytest.mark.parametrize(
    ("level", "raw", "kind"),
    [
        ("pmd", 0x81, EntryKind.LEAF),
        ("pud", 0x81, EntryKind.LEAF),
        ("pmd", 0x01, EntryKind.TABLE),
        ("pgd", 0x81, EntryKind.ILLEGAL),
        ("pte", 0x81, EntryKind.LEAF),
        ("pte", 0x80, EntryKind.NONE),
    ],
)
def test_pse_makes_a_leaf_where_there_can_be_one(level: str, raw: int, kind: EntryKind) -> None:
    assert FORMAT.classify(level, raw) is kind


@pytest.mark.parametrize(("level", "shift"), [("pte", 12), ("pmd", 21), ("pud", 30)])
def test_leaves_map_their_level(level: str, shift: int) -> None:
    form = FORMAT.form(level, EntryKind.LEAF)
    assert form.shift == shift
    assert form.physical_mask == (1 << 52) - (1 << shift)


def test_bit_7_is_pat_in_a_page_and_the_large_pat_is_bit_12() -> None:
    assert FORMAT.form("pte", EntryKind.LEAF).by_name["PAT"].low == 7
    large = FORMAT.form("pmd", EntryKind.LEAF)
    assert large.by_name["PAT_LARGE"].low == 12
    assert "PAT" not in large.by_name


@pytest.mark.parametrize(
    ("level", "raw", "name"),
    [
        ("pte", 0, None),
        ("pte", 0x1, None),
        ("pte", 0x100, "page without access"),
        ("pmd", 0x180, "page without access"),
        ("pmd", 0x80, "huge page that is invalidated"),
        ("pud", 0x80, "huge page that is invalidated"),
        ("pte", 0x80, None),
        ("pte", 1 << 59, "swap entry"),
        ("pmd", 24 << 59, "swap entry"),
        ("pgd", 1 << 59, None),
    ],
)
def test_entries_without_present_have_the_kernel_s_meaning(level: str, raw: int, name: str | None) -> None:
    found = FORMAT.software_entry(level, raw)
    assert (found and found.name) == name
