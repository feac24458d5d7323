# SPDX-License-Identifier: GPL-2.0-only
"""Records of poisoned pages: the list, and PG_hwpoison of the head and of the pages."""

from __future__ import annotations

from functools import partial

import pytest

from hvolab.hugetlb.raw_hwp import EHWPOISON, RECORD_SIZE, clear_hwpoison, raw_hwp_pages, set_hwpoison
from hvolab.machine import MachineSpec
from tests.machines import MIB, Pools, pools, x86_64


def poisoned(*numbers: int, enabled: bool = False, release: str = "6.12") -> tuple[Pools, int, list[int]]:
    """A folio with poisoned pages, and the results."""
    spec = MachineSpec(memory=64 * MIB, optimize_enabled=enabled)
    lab = pools(spec, x86_64(release=release))
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    (folio,) = pool.live
    allocate = partial(lab.machine.kernel_data, RECORD_SIZE)
    size = lab.machine.struct_pages.layout.size
    return lab, folio, [set_hwpoison(pool.folio, folio, folio + number * size, allocate) for number in numbers]


@pytest.mark.parametrize("release", ["6.1", "6.12", "6.12.117", "7.2"])
def test_each_page_has_one_record_the_newest_first(release: str) -> None:
    lab, folio, results = poisoned(5, 0, 5, 9, release=release)
    pages, layout = lab.pools[0].folio, lab.machine.struct_pages.layout
    assert results == [0, -EHWPOISON, -EHWPOISON, -EHWPOISON]
    assert [(page - folio) // layout.size for _, page in raw_hwp_pages(pages, folio)] == [9, 0, 5]
    assert pages.poisoned(folio)
    assert not pages.poisoned(folio + 5 * layout.size)
    assert lab.findings() == []
    clear_hwpoison(pages, folio)
    marked = [number for number in range(512) if pages.poisoned(folio + number * layout.size)]
    assert marked == [0, 5, 9]
    assert raw_hwp_pages(pages, folio) == []


def test_an_optimized_folio_keeps_its_records() -> None:
    lab, folio, _ = poisoned(70, enabled=True)
    pages = lab.pools[0].folio
    clear_hwpoison(pages, folio)
    assert pages.poisoned(folio)
    assert len(raw_hwp_pages(pages, folio)) == 1
    assert lab.findings() == []


def test_records_are_given_up_for_good_once_one_cannot_be_allocated() -> None:
    lab, folio, _ = poisoned(70)
    pages, layout = lab.pools[0].folio, lab.machine.struct_pages.layout
    assert set_hwpoison(pages, folio, folio, None) == -EHWPOISON
    assert raw_hwp_pages(pages, folio) == []
    assert pages.flag(folio, layout.hpg_raw_hwp_unreliable)
    assert set_hwpoison(pages, folio, folio, lambda: pytest.fail("no record is needed")) == -EHWPOISON
    clear_hwpoison(pages, folio)
    assert pages.poisoned(folio)


def test_a_list_that_comes_back_to_a_record_ends() -> None:
    lab, folio, _ = poisoned(1, 2)
    pages = lab.pools[0].folio
    (newest, _), (oldest, _) = raw_hwp_pages(pages, folio)
    lab.machine.cpus[0].store_word(oldest, newest)
    assert [record for record, _ in raw_hwp_pages(pages, folio)] == [newest, oldest]


def test_the_error_of_a_poisoned_page_is_that_of_linux() -> None:
    assert EHWPOISON == 133
