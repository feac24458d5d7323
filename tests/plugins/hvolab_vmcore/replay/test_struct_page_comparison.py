# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of struct pages: each changed word that HVO determines is a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hvolab_vmcore.replay.plan import ReplayPlan
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.replay.struct_page_comparison import compare_struct_pages, contents, held_pages
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    RESTORED,
    changed,
    differences_of,
    made,
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


@pytest.mark.slow
@pytest.mark.parametrize("slot", [0, 1, 2, 5])
def test_a_changed_word_in_a_restored_tail_page_is_a_difference(tmp_path: Path, slot: int) -> None:
    va = va_of(FIRST_FOLIO, 1) + slot * 64 + 16
    differences = differences_of(OPTIMIZED_1G, RESTORED, {pa_of(RESTORED, va): va}, tmp_path)
    assert [(one.kind, one.va) for one in differences] == [("struct-page.restored", va)]


def test_a_scan_compared_with_itself_has_no_difference() -> None:
    found = scanned(OPTIMIZED_2M)
    result = compare_struct_pages(found, found, ReplayPlan((), ()))
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


def test_a_changed_word_in_the_page_that_tails_share_is_a_difference_for_each_tail(tmp_path: Path) -> None:
    before, after = made("x86_64-7.2", "0-boot"), made("x86_64-7.2", "1-four-2M")
    va = scanned(after).pages.va(int(scanned(after).huge_pages[1].rows[0])) + PAGE
    assert replay(before, after).differences == ()
    for byte in (0, 8, 24, 48):  # flags, compound_info, mapping, page type
        pa = pa_of(after, va) + 5 * 64 + byte
        differences = differences_of(before, after, {pa: 0x1234}, tmp_path)
        assert len(differences) == 4 * 7
        assert {(one.kind, one.text) for one in differences} == {
            ("struct-page.alias", "a tail page differs from the engine's")
        }
        assert differences[0].va == va + 5 * 64 + byte


@pytest.mark.slow
def test_a_copy_of_a_head_that_only_one_side_leaves_is_a_difference(tmp_path: Path) -> None:
    head = va_of(FIRST_FOLIO, 3)
    pa = pa_of(RESTORED, head)
    words = {pa: 1 << 6, pa + 64: 9, pa + 48: 0xF4000000}
    assert ("struct-page.mark", head + 48) in {
        (one.kind, one.va) for one in differences_of(OPTIMIZED_1G, RESTORED, words, tmp_path)
    }
    assert [(one.kind, one.va) for one in differences_of(BOOT, RESTORED, words, tmp_path)] == [
        ("struct-page.mark", head + 48)
    ]


@pytest.mark.slow
def test_freeing_may_clear_flags_and_not_set_them(tmp_path: Path) -> None:
    before, after = made("x86_64-6.12.117", "3-one-1G"), made("x86_64-6.12.117", "4-restored")
    # the order, in the flags of a copied first tail
    tail = va_of(0x3400, 2) + 64
    order = scanned(after).snapshot.memory.read_word(pa_of(after, tail))
    assert order & 0xFF == 9
    cleared = changed(after, {pa_of(after, tail): order & ~0xFF}, tmp_path / "cleared.core")
    assert replay(before, cleared).differences == ()
    (difference,) = differences_of(before, after, {pa_of(after, tail): order | 1 << 10}, tmp_path)
    assert (difference.kind, difference.va) == ("struct-page.restored", tail)
