# SPDX-License-Identifier: GPL-2.0-only
"""Copies of heads that a restore left."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    CAPTURES,
    FIRST_FOLIO,
    OPTIMIZED_2M,
    RESTORED,
    WRONG_OPTIMIZED,
    WRONG_RESTORED,
    changed,
    made,
    pa_of,
    scanned,
    va_of,
)

PRIVATE, PAGE_TYPE, PG_HEAD, HUGETLB = 40, 48, 1 << 6, 0xF4000000


def stale_pfns(core: Path) -> list[int]:
    found = scanned(core)
    return [(int(number) << found.pages.shift) // 64 for number in found.pages.numbers[found.stale_heads]]


def test_each_restored_page_of_a_wrong_restore_begins_with_one() -> None:
    folios = (0x3E00, *range(0x5800, 0x6600, 0x200))
    assert stale_pfns(WRONG_RESTORED) == [pfn + 64 * page for pfn in folios for page in range(1, 8)]


def test_copies_for_a_page_of_1_gib_are_found_as_far_as_the_core_holds_them() -> None:
    assert len(stale_pfns(made("riscv64-6.12.117", "4-restored"))) == 8 * 7 + 7


@pytest.mark.parametrize(
    "core",
    [
        WRONG_OPTIMIZED,
        OPTIMIZED_2M,
        RESTORED,
        CAPTURES / "arm64-6.12-4K-48bit" / "3-restored.core.xz",
        made("x86_64-6.1", "4-restored"),
        made("x86_64-7.2", "4-restored"),
        made("x86_64-6.12.117", "5-optimized-again"),
    ],
)
def test_optimized_pages_and_right_restores_have_none(core: Path) -> None:
    assert stale_pfns(core) == []


@pytest.mark.parametrize(
    ("page", "order", "stale"),
    [
        (3, 9, True),  # a folio of order 9 starts at a multiple of 512 frames
        (3, 6, False),  # one of order 6 may start here
        (3, 0, True),  # a compound page has an order
    ],
)
def test_a_head_is_stale_where_no_folio_of_its_order_can_start(
    tmp_path: Path, page: int, order: int, *, stale: bool
) -> None:
    head = va_of(FIRST_FOLIO, page)
    pa = pa_of(RESTORED, head)
    words = {pa: PG_HEAD, pa + 64: order, pa + PAGE_TYPE: HUGETLB}
    found = scan(open_snapshot(changed(RESTORED, words, tmp_path / "changed.core")))
    assert bool(found.stale_heads.size) is stale


def test_a_type_without_pg_head_is_stale(tmp_path: Path) -> None:
    pa = pa_of(RESTORED, va_of(FIRST_FOLIO, 3))
    found = scan(open_snapshot(changed(RESTORED, {pa + PAGE_TYPE: HUGETLB}, tmp_path / "changed.core")))
    assert found.stale_heads.size == 1


def test_a_destructor_counts_only_with_pg_head(tmp_path: Path) -> None:
    core = made("x86_64-6.1", "4-restored")
    head = va_of(0x3400, 3)
    destructor = {pa_of(core, head) + 64 + 16: 2 | 9 << 8}
    assert scan(open_snapshot(changed(core, destructor, tmp_path / "a.core"))).stale_heads.size == 0
    marked = destructor | {pa_of(core, head): 1 << 16}
    assert scan(open_snapshot(changed(core, marked, tmp_path / "b.core"))).stale_heads.size == 1
