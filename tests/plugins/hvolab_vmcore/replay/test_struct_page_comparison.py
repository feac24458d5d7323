# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of struct pages: each changed word that HVO determines is a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hvolab_vmcore.replay.struct_page_comparison import compare_struct_pages, contents, held_pages
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    differences_of,
    pa_of,
    scanned,
    va_of,
)


@pytest.mark.parametrize(
    ("byte", "word", "kind"),
    [
        (40, 0, "struct-page.head"),  # HPG_vmemmap_optimized is clear
        (0, 0x000FFFFFC0000018, "struct-page.head"),  # PG_head is clear
        (5 * 64 + 8, va_of(FIRST_FOLIO), "struct-page.tail"),  # compound_head without its bit
    ],
)
def test_a_changed_word_in_the_heads_page_is_a_difference(tmp_path: Path, byte: int, word: int, kind: str) -> None:
    pa = pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + byte
    differences = differences_of(BOOT, OPTIMIZED_2M, {pa: word}, tmp_path)
    assert [(one.kind, one.va) for one in differences] == [(kind, va_of(FIRST_FOLIO) + byte)]


def test_the_flag_of_a_huge_page_outside_of_the_plan_is_compared(tmp_path: Path) -> None:
    pa = pa_of(OPTIMIZED_1G, va_of(FIRST_FOLIO)) + 40
    differences = differences_of(OPTIMIZED_2M, OPTIMIZED_1G, {pa: 8}, tmp_path)
    assert [one.kind for one in differences] == ["struct-page.head"]


@pytest.mark.parametrize("slot", [0, 1, 2, 5])
def test_a_changed_word_in_a_restored_tail_page_is_a_difference(tmp_path: Path, slot: int) -> None:
    va = va_of(FIRST_FOLIO, 1) + slot * 64 + 16
    differences = differences_of(OPTIMIZED_1G, RESTORED, {pa_of(RESTORED, va): va}, tmp_path)
    assert [(one.kind, one.va) for one in differences] == [("struct-page.restored", va)]


def test_a_scan_compared_with_itself_has_no_difference() -> None:
    found = scanned(OPTIMIZED_2M)
    result = compare_struct_pages(found, found, ())
    assert (result.found, result.compared, result.left_out) == (0, 8 * 512, [])


def test_contents_of_absent_pages_are_zeros() -> None:
    found = scanned(OPTIMIZED_1G)
    head = (va_of(FIRST_FOLIO) - found.pages.base) >> found.pages.shift
    numbers = np.array([head, int(found.pages.numbers[-1]) + 1])
    assert held_pages(found, numbers).tolist() == [True, False]
    words = contents(found, numbers)
    assert words.shape == (2, 512)
    assert words[0].any()
    assert not words[1].any()
