# SPDX-License-Identifier: GPL-2.0-only
"""The description of arm64: levels from widths, block levels of each granule, overrides of features."""

from __future__ import annotations

import pytest

from hvolab.arch import Access, FaultKind, LiveEntryRule, PgprotRole
from hvolab_arm64.description import ARM64


@pytest.mark.parametrize(
    ("mode", "levels"),
    [
        ("4K-48bit", "pgd:9 pud:9 pmd:9 pte:9"),
        ("4K-39bit", "pgd:9 pmd:9 pte:9"),
        ("4K-52bit", "pgd:4 p4d:9 pud:9 pmd:9 pte:9"),
        ("16K-47bit", "pgd:11 pmd:11 pte:11"),
        ("16K-36bit", "pgd:11 pte:11"),
        ("64K-42bit", "pgd:13 pte:13"),
        ("64K-52bit", "pgd:10 pmd:13 pte:13"),
    ],
)
def test_the_root_has_the_bits_that_full_tables_leave(mode: str, levels: str) -> None:
    assert " ".join(f"{level.name}:{level.bits}" for level in ARM64.mode(mode).levels) == levels


@pytest.mark.parametrize(
    ("mode", "blocks"),
    [("4K-48bit", {"pud", "pmd"}), ("4K-52bit", {"p4d", "pud", "pmd"}), ("16K-47bit", {"pmd"}), ("64K-48bit", {"pmd"})],
)
def test_blocks_are_at_the_levels_of_the_granule(mode: str, blocks: set[str]) -> None:
    described = ARM64.mode(mode)
    found = {level.name for level in described.levels if described.format.leaf_form(level.name) is not None}
    assert found == {*blocks, "pte"}


def test_nolva_gives_a_52_bit_mode_the_widths_of_va_bits_min() -> None:
    fallback, plain = ARM64.select("4K-52bit", features=("nolva",)), ARM64.select("4K-48bit")
    assert (fallback.mode.va_bits, fallback.mode.levels) == (48, plain.mode.levels)
    assert fallback.bits("pte", PgprotRole.KERNEL) == plain.bits("pte", PgprotRole.KERNEL)  # SH is back


def test_live_entries_need_break_before_make_until_the_series_of_2026() -> None:
    assert ARM64.traits.live_entries is LiveEntryRule.BREAK_BEFORE_MAKE
    assert not ARM64.select().traits.live_size_change
    assert ARM64.select(release="mm-2026").traits.live_size_change


def test_a_write_to_a_read_only_page_has_wnr_and_the_level_in_its_syndrome() -> None:
    syndrome = dict(ARM64.mmu.syndrome(FaultKind.PERMISSION, Access.WRITE, 0x1000, 0))
    assert syndrome == {"esr": 0x25 << 26 | 1 << 25 | 1 << 6 | 0x0F, "far": 0x1000}


def test_an_alignment_fault_has_no_level_in_its_syndrome() -> None:
    for depth in range(3):
        syndrome = dict(ARM64.mmu.syndrome(FaultKind.ALIGNMENT, Access.ATOMIC, 0x1004, depth))
        assert syndrome == {"esr": 0x25 << 26 | 1 << 25 | 0x21, "far": 0x1004}
