# SPDX-License-Identifier: GPL-2.0-only
"""Entries of riscv: leaves by R and X, pointers, aligned superpages, NAPOT."""

from __future__ import annotations

import pytest

from hvolab.arch import EntryKind, Level
from hvolab_riscv.entries import NAPOT_LEAF, G, R, V, W, X, entry_format

FORMAT = entry_format((Level("pmd", 21, 9), Level("pte", 12, 9)))


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (V | R, EntryKind.LEAF),
        (V | X, EntryKind.LEAF),
        (V | R | W | X, EntryKind.LEAF),
        (V | W, EntryKind.ILLEGAL),
        (V | W | X, EntryKind.ILLEGAL),
        (V, EntryKind.TABLE),
        (R | W, EntryKind.NONE),
    ],
)
def test_the_kind_follows_from_v_r_w_and_x(raw: int, kind: EntryKind) -> None:
    assert FORMAT.classify("pmd", raw) is kind


def test_a_superpage_begins_on_its_size() -> None:
    assert FORMAT.broken_rules("pmd", V | R | 1 << 19) == []
    [(text, source)] = FORMAT.broken_rules("pmd", V | R | 1 << 18)
    assert text == "the output address of a leaf entry at pmd is a multiple of 2 MiB, set are: 18"
    assert source == "RISC-V privileged specification, Sv39/Sv48/Sv57"


def test_a_napot_leaf_maps_64_kib_whatever_its_protection_is() -> None:
    assert NAPOT_LEAF.shift == 16
    assert NAPOT_LEAF.put_fields((("V", 1), ("R", 1))) == 1 << 63 | 8 << 10 | V | R
    assert len(NAPOT_LEAF.rules) == 15


@pytest.mark.parametrize(
    ("level", "raw", "name"),
    [
        ("pte", 0, None),
        ("pte", V | G, None),
        ("pte", G | R, "page without access"),
        ("pmd", G | R | W, "page without access"),
        ("pmd", R, "huge page that is invalidated"),
        ("pmd", X, "huge page that is invalidated"),
        ("pte", R, None),
        ("pte", X | 1 << 12, "swap entry"),
        ("pmd", 1 << 6, "swap entry"),
    ],
)
def test_entries_without_v_have_the_kernel_s_meaning(level: str, raw: int, name: str | None) -> None:
    found = FORMAT.software_entry(level, raw)
    assert (found and found.name) == name
