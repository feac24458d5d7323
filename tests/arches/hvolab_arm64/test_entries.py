# SPDX-License-Identifier: GPL-2.0-only
"""Descriptors of arm64: the output address of each PA width, and the bits that LPA2 takes."""

from __future__ import annotations

import pytest

from hvolab.arch import EntryKind, Level
from hvolab_arm64.entries import entry_format

PMD = Level("pmd", 21, 9)


@pytest.mark.parametrize(
    ("shift", "pa_bits", "lpa2", "raw", "pa"),
    [
        (12, 48, False, 0x0000_FFFF_FFFF_F703, 0xFFFF_FFFF_F000),
        (12, 52, True, 0x0003_FFFF_FFFF_F703, 0xF_FFFF_FFFF_F000),
        (16, 52, False, 0x0000_FFFF_FFFF_F703, 0xF_FFFF_FFFF_0000),
    ],
)
def test_the_output_address_of_a_page(shift: int, pa_bits: int, *, lpa2: bool, raw: int, pa: int) -> None:
    entries = entry_format((PMD, Level("pte", shift, 9)), [PMD], pa_bits=pa_bits, lpa2=lpa2)
    form = entries.form("pte", EntryKind.LEAF)
    assert form.get_address(raw) == pa
    assert ("SH" in form.by_name) is not lpa2


def test_bit_1_tells_a_page_from_a_reserved_descriptor() -> None:
    entries = entry_format((PMD, Level("pte", 12, 9)), [PMD], pa_bits=48, lpa2=False)
    kinds = [entries.classify("pte", raw) for raw in (0b11, 0b01, 0b10, 0b00)]
    assert kinds == [EntryKind.LEAF, EntryKind.ILLEGAL, EntryKind.NONE, EntryKind.NONE]
    assert entries.classify("pmd", 0b01) is EntryKind.LEAF
    assert entries.classify("pmd", 0b11) is EntryKind.TABLE


@pytest.mark.parametrize(
    ("level", "raw", "name"),
    [
        ("pte", 0, None),
        ("pte", 0b11, None),
        ("pte", 1 << 54 | 1 << 11 | 0b10, "page without access"),
        ("pmd", 1 << 54 | 1 << 11, "page without access"),
        ("pmd", 1 << 11, "page that is invalidated"),
        ("pmd", 1 << 54 | 1 << 11 | 1 << 6, "page that is invalidated"),
        ("pte", 1 << 6, "swap entry"),
        ("pmd", 1 << 12, "swap entry"),
        ("pte", 1 << 6 | 0b10, None),
        ("pud", 1 << 6, None),
    ],
)
def test_entries_without_valid_have_the_kernel_s_meaning(level: str, raw: int, name: str | None) -> None:
    levels = (Level("pud", 30, 9), PMD, Level("pte", 12, 9))
    found = entry_format(levels, [PMD], pa_bits=48, lpa2=False).software_entry(level, raw)
    assert (found and found.name) == name


def test_a_page_without_access_has_its_frame_in_the_bits_of_lpa2() -> None:
    entries = entry_format((PMD, Level("pte", 12, 9)), [PMD], pa_bits=52, lpa2=True)
    raw = 1 << 54 | 1 << 11 | 0x54E4 << 12 | 3 << 8
    found = entries.software_entry("pte", raw)
    assert found is not None
    assert found.pfn(raw, 12) == 3 << 38 | 0x54E4
