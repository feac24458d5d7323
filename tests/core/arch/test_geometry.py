# SPDX-License-Identifier: GPL-2.0-only
"""Paging modes: shapes that tile, shapes that do not, and shapes that nobody expects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import (
    AddressPart,
    EntryForm,
    EntryFormat,
    EntryKind,
    Level,
    LinearOrigin,
    Match,
    PagingMode,
    tiled_levels,
)
from hvolab.errors import DescriptionError, EncodingError, UsageError
from tests.made_up import MODE


def plain_mode(*levels: Level, va_bits: int, page_shift: int) -> PagingMode:
    """A mode of these levels: bit 0 valid, bit 1 table, the PA where it is."""
    names = tuple(level.name for level in levels)
    address = (AddressPart(page_shift, 52 - page_shift, page_shift),)
    forms = (
        EntryForm(EntryKind.TABLE, names[:-1], (Match(0b11, 0b11),), address, ()),
        EntryForm(EntryKind.LEAF, names, (Match(0b11, 0b01),), address, ()),
    )
    base = (1 << 64) - (1 << va_bits - 1)
    return PagingMode(
        name="plain",
        summary="for a test",
        page_shift=page_shift,
        levels=levels,
        va_bits=va_bits,
        pa_bits=52,
        format=EntryFormat(Match(1, 1), forms),
        direct_map_base=base,
        vmemmap_base=base + (1 << va_bits - 2),
        origin=LinearOrigin.ZERO,
        vmemmap_level=names[-2],
        direct_map_level=names[-2],
        huge_page_levels=((names[-2], 1),),
    )


@pytest.mark.parametrize(
    "mode",
    [
        plain_mode(Level("pgd", 36, 11), Level("pmd", 25, 11), Level("pte", 14, 11), va_bits=47, page_shift=14),
        plain_mode(Level("pgd", 42, 6), Level("pmd", 29, 13), Level("pte", 16, 13), va_bits=48, page_shift=16),
        plain_mode(Level("pgd", 25, 11), Level("pte", 14, 11), va_bits=36, page_shift=14),
        plain_mode(Level("a", 23, 16), Level("b", 20, 3), Level("c", 12, 8), va_bits=39, page_shift=12),
        MODE,
    ],
    ids=["16K pages, roots of 2048", "64K pages, roots of 64", "two levels", "256-entry tables", "made up"],
)
def test_unusual_shapes_are_accepted(mode: PagingMode) -> None:
    mode.check()
    assert mode.level(mode.levels[0].name).table_bytes == 8 << mode.levels[0].bits


@given(st.lists(st.integers(1, 11), min_size=2, max_size=5).filter(lambda bits: sum(bits) < 48), st.integers(14, 16))
def test_any_levels_that_tile_index_a_va_completely(bits: list[int], page_shift: int) -> None:
    shifts = [page_shift + sum(bits[:depth]) for depth in range(len(bits))]
    levels = [Level(f"l{shift}", shift, width) for shift, width in zip(shifts, bits, strict=True)][::-1]
    va_bits = page_shift + sum(bits)
    mode = plain_mode(*levels, va_bits=va_bits, page_shift=page_shift)
    mode.check()
    va = mode.vmemmap_base + (1 << page_shift) + 5
    rebuilt = sum(level.index(va) << level.shift for level in levels)
    assert rebuilt | va & (1 << page_shift) - 1 == va & (1 << va_bits) - 1


@pytest.mark.parametrize("shift", [13, 15, 22])
def test_levels_with_a_gap_or_an_overlap_are_refused(shift: int) -> None:
    levels = (*MODE.levels[:-1], Level("last", shift, 7))
    with pytest.raises(DescriptionError, match="level last has shift") as caught:
        replace(MODE, levels=levels).check()
    assert "tile" in caught.value.rule
    assert "crooked" in caught.value.where


def test_levels_of_the_wrong_width_leave_a_gap_above_them() -> None:
    levels = (*MODE.levels[:-1], Level("last", 14, 6))
    with pytest.raises(DescriptionError, match="level middle has shift 21, the levels below it end at 20"):
        replace(MODE, levels=levels).check()


def test_a_root_that_does_not_reach_the_top_of_a_va_is_refused() -> None:
    with pytest.raises(DescriptionError, match="the levels index 39 bits of a VA of 44"):
        replace(MODE, va_bits=44, direct_map_base=0xFFFFF80000000000).check()


def test_one_level_is_too_few() -> None:
    with pytest.raises(DescriptionError, match="1 levels"):
        replace(MODE, levels=MODE.levels[-1:]).check()


def test_two_levels_of_one_name_are_refused() -> None:
    levels = (MODE.levels[0], replace(MODE.levels[1], name="last"), MODE.levels[2])
    with pytest.raises(DescriptionError, match="same name"):
        replace(MODE, levels=levels).check()


def test_a_last_table_larger_than_a_page_is_refused() -> None:
    wide = plain_mode(Level("pmd", 26, 10), Level("pte", 12, 14), va_bits=36, page_shift=12)
    with pytest.raises(DescriptionError, match="a table of pte takes 0x20000 bytes"):
        wide.check()


@pytest.mark.parametrize(
    ("base", "why"),
    [(0x3F00000000, "not a kernel VA"), (0xFFFFFFC000001000, "inside a page"), (1 << 64, "not a kernel VA")],
)
def test_a_base_that_is_not_a_page_of_the_kernel_is_refused(base: int, why: str) -> None:
    with pytest.raises(DescriptionError, match=f"the base of the direct map, {base:#x}, is {why}"):
        replace(MODE, direct_map_base=base).check()
    with pytest.raises(DescriptionError, match=f"the base of the vmemmap, {base:#x}, is {why}"):
        replace(MODE, vmemmap_base=base).check()


def test_a_va_that_is_high_but_not_sign_extended_is_explained_with_the_range_and_the_fields_that_move_it() -> None:
    with pytest.raises(DescriptionError) as caught:
        replace(MODE, vmemmap_base=0xC000000000000000).check()
    assert "the kernel's VAs are [0xffffffc000000000, 0x10000000000000000)" in caught.value.rule
    assert "split_roots False, kernel_base not declared" in caught.value.rule
    assert "kernel_base" in caught.value.hint
    assert "split_roots" in caught.value.hint
    high = replace(MODE, kernel_base=0xC000000000000000, split_roots=True)
    high = replace(high, direct_map_base=0xC000000000000000, vmemmap_base=0xC000007000000000)
    high.check()
    assert high.kernel_vas == range(0xC000000000000000, 0xC000008000000000)


def test_a_vmemmap_level_without_leaves_is_refused() -> None:
    tables_only = replace(MODE.format, forms=tuple(form for form in MODE.format.forms if form.levels != ("middle",)))
    with pytest.raises(EncodingError, match="an entry at middle cannot be a leaf"):
        replace(MODE, format=tables_only).check()


def test_a_table_told_by_two_patterns_is_refused() -> None:
    table, *leaves = MODE.format.forms
    vague = replace(table, recognize=(*table.recognize, Match(1, 1)))
    with pytest.raises(DescriptionError, match="recognized by one pattern"):
        replace(MODE, format=replace(MODE.format, forms=(vague, *leaves))).check()


def test_an_unknown_level_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no level 'pmd'") as caught:
        MODE.level("pmd")
    assert caught.value.hint == "choose one of root, middle, last"


def test_huge_pages_come_from_one_entry_or_several() -> None:
    assert [(page.level, page.count, page.size >> 20) for page in MODE.huge_pages] == [
        ("middle", 1, 2),
        ("middle", 16, 32),
        ("root", 1, 128),
    ]


@pytest.mark.parametrize(
    ("va", "canonical"),
    [
        (0xFFFFFFC000000000, True),
        (0xFFFFFFFFFFFFFFFF, True),
        (0xFFFFFFBFFFFFFFFF, False),
        (0x0000003FFFFFFFFF, False),
        (0, False),
        (-1, False),
    ],
)
def test_a_kernel_va_has_ones_above_its_width(va: int, *, canonical: bool) -> None:
    assert MODE.canonical(va) is canonical


def test_where_kernel_and_user_have_a_root_each_the_kernel_has_the_whole_width() -> None:
    alone = replace(MODE, split_roots=True)
    assert alone.canonical(0xFFFFFF8000000000)
    assert not alone.canonical(0xFFFFFF7FFFFFFFFF)


def test_a_kernel_part_that_ends_below_the_last_va_has_a_base_of_its_own() -> None:
    mode = replace(MODE, kernel_base=0x9000000000000000)
    assert [mode.canonical(va) for va in (0x8FFFFFFFFFFFFFFF, 0x9000000000000000, 0x9000003FFFFFFFFF)] == [
        False,
        True,
        True,
    ]
    assert not mode.canonical(0x9000004000000000)
    assert not mode.canonical(MODE.vmemmap_base)


def test_levels_are_full_tables_below_a_root_with_the_bits_that_remain() -> None:
    assert tiled_levels(12, 48) == (Level("pgd", 39, 9), Level("pud", 30, 9), Level("pmd", 21, 9), Level("pte", 12, 9))
    assert tiled_levels(14, 48)[:2] == (Level("pgd", 47, 1), Level("pud", 36, 11))
    assert tiled_levels(16, 42) == (Level("pgd", 29, 13), Level("pte", 16, 13))
    assert [level.name for level in tiled_levels(12, 57)] == ["pgd", "p4d", "pud", "pmd", "pte"]
