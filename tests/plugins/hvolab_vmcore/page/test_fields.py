# SPDX-License-Identifier: GPL-2.0-only
"""Fields of struct pages, as each release has them."""

from __future__ import annotations

import pytest

from hvolab_vmcore.page.fields import FieldData
from hvolab_vmcore.page.view import view_page
from tests.plugins.hvolab_vmcore.changed_cores import FIRST_FOLIO, OPTIMIZED_2M, made, scanned


def fields(core_name: str, number: int) -> dict[str, FieldData]:
    found = scanned(made(core_name, "2-eight-2M"))
    return {one.name: one for one in view_page(found, int(found.huge_pages[-1].pfns[0]) + number).fields}


def test_a_head_has_its_flags_type_and_hugetlb_flags() -> None:
    head = {one.name: one for one in view_page(scanned(OPTIMIZED_2M), FIRST_FOLIO).fields}
    assert head["flags"].meaning.startswith("PG_head")
    assert head["flags"].meaning.endswith("node 0, zone DMA32")
    assert head["private"].meaning == "HPG_freed HPG_vmemmap_optimized"
    assert head["page_type"].meaning == "hugetlb"


@pytest.mark.parametrize(
    ("kernel", "names", "order"),
    [
        ("x86_64-6.1", {"_folio_dtor", "_folio_order", "_total_mapcount", "_folio_nr_pages"}, "_folio_order"),
        ("x86_64-6.12.117", {"_large_mapcount", "_entire_mapcount", "_pincount", "_folio_nr_pages"}, "flags"),
        ("riscv64-7.2", {"_large_mapcount", "_mm_id", "_nr_pages"}, "flags"),
    ],
)
def test_the_first_tail_has_the_fields_of_the_folio(kernel: str, names: set[str], order: str) -> None:
    tail = fields(kernel, 1)
    assert names <= tail.keys()
    assert tail[order].value & 0xFF == 9
    assert tail.get("_nr_pages", tail.get("_folio_nr_pages", tail["flags"])).value == 512
    link = tail.get("compound_info", tail.get("compound_head"))
    assert link is not None
    assert link.meaning.startswith("tail; head at VA")


@pytest.mark.parametrize("kernel", ["x86_64-6.1", "x86_64-6.12.117", "riscv64-7.2"])
def test_fields_cover_a_struct_page_once(kernel: str) -> None:
    found = scanned(made(kernel, "2-eight-2M"))
    for number in (0, 1, 2, 3, 64, 65):
        listed = view_page(found, int(found.huge_pages[-1].pfns[0]) + number).fields
        ends = [one.offset + one.size for one in listed]
        assert [one.offset for one in listed] == [0, *ends[:-1]]
        assert ends[-1] == 64
