# SPDX-License-Identifier: GPL-2.0-only
"""Savings by size of huge page and base page."""

from __future__ import annotations

import pytest

from hvolab.plugin import registry
from hvolab_vmcore.savings.savings import PoolSavings, plan, saved_of, totals

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


@pytest.mark.parametrize(
    ("size", "page", "struct_page", "saved"),
    [
        (2 * MIB, 4 * KIB, 64, 28 * KIB),
        (GIB, 4 * KIB, 64, 4095 * 4 * KIB),
        (512 * MIB, 64 * KIB, 64, 448 * KIB),
        (2 * MIB, 16 * KIB, 64, 0),
        (2 * MIB, 4 * KIB, 56, 0),  # not a power of two
    ],
)
def test_all_pages_of_vmemmap_but_one_are_saved(size: int, page: int, struct_page: int, saved: int) -> None:
    assert saved_of(size, page, struct_page) == saved


def test_the_plan_has_every_size_that_an_architecture_offers() -> None:
    rows = {(row.page_size, row.size): row for row in plan(registry().architectures().values(), TIB, 64)}
    small, large = rows[4 * KIB, 2 * MIB], rows[4 * KIB, GIB]
    assert (small.memory_saved, large.memory_saved) == (14 * GIB, 1024 * 4095 * 4 * KIB)
    assert (small.percent, small.vmemmap) == (1.3672, 32 * KIB)
    assert {"x86_64", "arm64", "riscv"} <= set(small.architectures)
    assert small.tables == 16 * GIB // (2 * MIB) * 4 * KIB
    assert rows[64 * KIB, 512 * MIB].architectures == ("arm64",)
    assert (16 * KIB, 2 * MIB) not in rows  # one page of vmemmap, which is kept
    assert all(row.memory == TIB for row in rows.values())


def test_a_size_above_the_memory_is_left_out() -> None:
    assert {row.size for row in plan(registry().architectures().values(), 512 * MIB, 64)} == {
        *(2 * MIB, 32 * MIB, 512 * MIB)
    }


def test_totals_of_a_size_are_unknown_where_one_pool_is() -> None:
    known, unknown = PoolSavings(MIB, 0, 2, 2, 10, 10), PoolSavings(MIB, 1, 2, None, None, 10)
    assert list(totals([known, known])) == [(MIB, 20, 20)]
    assert list(totals([known, unknown])) == [(MIB, None, 20)]
