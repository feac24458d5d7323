# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of page-table entries: each changed entry is a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hvolab_vmcore.replay.replay import replay
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    changed,
    differences_of,
    scanned,
    slot_of,
    va_of,
)

RW, GLOBAL, PSE = 1 << 1, 1 << 8, 1 << 7


@pytest.mark.parametrize(
    ("before", "after", "va", "make", "kind"),
    [
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 3), lambda raw: raw | RW, "entry.flags"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 3), lambda raw: raw ^ 0x40000, "entry.frame"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 3), lambda _: 0x80000000BCF73121, "entry.kept"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 0), lambda raw: raw & ~RW, "entry.flags"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 7), lambda _: 0, "entry.kind"),
        (BOOT, OPTIMIZED_2M, va_of(0x100), lambda raw: raw & ~GLOBAL, "entry.flags"),  # a neighbor after the split
        (BOOT, OPTIMIZED_2M, va_of(0x100), lambda raw: raw ^ 0x1000000, "entry.kept"),
        (OPTIMIZED_2M, OPTIMIZED_1G, va_of(GIGANTIC, 4095), lambda raw: raw | RW, "entry.flags"),
        (OPTIMIZED_2M, OPTIMIZED_1G, va_of(GIGANTIC, 700), lambda raw: raw ^ 0x40000, "entry.frame"),
        (OPTIMIZED_1G, RESTORED, va_of(FIRST_FOLIO, 2), lambda raw: raw & ~RW, "entry.flags"),
        (OPTIMIZED_1G, RESTORED, va_of(FIRST_FOLIO, 2), lambda raw: raw | 1 << 63 | 1 << 9, "entry.flags"),
        (OPTIMIZED_1G, RESTORED, va_of(GIGANTIC, 2000), lambda raw: raw & ~GLOBAL, "entry.flags"),
        (OPTIMIZED_1G, RESTORED, va_of(FIRST_FOLIO, 0), lambda raw: raw ^ 0x40000, "entry.kept"),
    ],
)
def test_a_changed_entry_is_a_difference_that_names_va_and_both_entries(
    tmp_path: Path, before: Path, after: Path, va: int, make: Any, kind: str
) -> None:
    slot, raw = slot_of(after, va)
    differences = differences_of(before, after, {slot: make(raw)}, tmp_path)
    (entry,) = (one for one in differences if one.kind.startswith("entry."))
    assert (entry.kind, entry.va) == (kind, va)
    assert entry.kernel.startswith(f"{make(raw):#018x}")
    assert entry.engine != entry.kernel


@pytest.mark.slow
def test_two_restored_tails_in_one_frame_are_a_difference(tmp_path: Path) -> None:
    raw = slot_of(RESTORED, va_of(FIRST_FOLIO, 1))[1]
    slot, _ = slot_of(RESTORED, va_of(FIRST_FOLIO, 2))
    differences = differences_of(OPTIMIZED_1G, RESTORED, {slot: raw}, tmp_path)
    assert {one.kind for one in differences} == {"entry.frame"}


@pytest.mark.slow
def test_frames_may_have_other_numbers_if_the_entries_share_them_in_the_same_way(tmp_path: Path) -> None:
    slots = [slot_of(RESTORED, va_of(FIRST_FOLIO, page)) for page in (1, 2)]
    swapped = {slots[0][0]: slots[1][1], slots[1][0]: slots[0][1]}
    assert replay(OPTIMIZED_1G, changed(RESTORED, swapped, tmp_path / "changed.core")).differences == ()


@pytest.mark.slow
def test_a_pmd_leaf_in_place_of_a_table_is_a_difference(tmp_path: Path) -> None:
    leaf = slot_of(BOOT, va_of(GIGANTIC))[1]
    walk = {step.level.name: step for step in _walk(RESTORED, va_of(GIGANTIC))}
    assert leaf & PSE
    differences = differences_of(OPTIMIZED_1G, RESTORED, {walk["pmd"].slot: leaf}, tmp_path)
    (entry,) = (one for one in differences if one.kind == "entry.kind")
    assert (entry.va, entry.kernel.split()[0]) == (va_of(GIGANTIC), f"{leaf:#018x}")
    assert "a leaf" in entry.text


def test_a_table_entry_with_other_flags_is_a_difference(tmp_path: Path) -> None:
    step = {step.level.name: step for step in _walk(OPTIMIZED_2M, va_of(FIRST_FOLIO))}["pmd"]
    differences = differences_of(BOOT, OPTIMIZED_2M, {step.slot: step.raw & ~4}, tmp_path)
    assert [(one.kind, one.va) for one in differences] == [("entry.flags", va_of(0))]


def _walk(core: Path, va: int) -> Any:
    return scanned(core).snapshot.tables.walk(va)
