# SPDX-License-Identifier: GPL-2.0-only
"""Races of edits of mm/hugetlb_vmemmap.c, which one CPU alone does not show."""

from __future__ import annotations

import pytest

from tests.plugins.hvolab_kernel.objects.developer_objects import linked_hvo

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_explorer.exploration import explore
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from tests.plugins.hvolab_kernel.interleaving.kernel_worlds import EngineOf, explored, program

pytestmark = pytest.mark.slow
IMAGE = "x86_64-6.12"
#: vmemmap_split_pmd() no longer looks at the PMD again once it has the lock.
WITHOUT_RECHECK = {"if (likely(pmd_leaf(*pmd))) {": "if (1) {"}
#: vmemmap_remap_range() no longer flushes; its caller frees the pages.
WITHOUT_FLUSH = {"\t\tflush_tlb_kernel_range(start, end);\n": "\t\t;\n"}
#: Historic bug B24, before bd225530a4c7: no grace period between the last reference and the remapping.
WITHOUT_GRACE_PERIOD = {"\t\tsynchronize_rcu();\n\t/*\n\t * Very": "\t\t;\n\t/*\n\t * Very"}
#: Historic bug B27: pages of a batch are freed while a TLB may have them.
_FREE_LIST = "\tfree_vmemmap_page_list(&vmemmap_pages);\n}"
WITHOUT_LAST_FLUSH = {f"\tflush_tlb_all();\n{_FREE_LIST}": _FREE_LIST}
#: vmemmap_split_pmd() forgets its table if another CPU has split the PMD.
TABLE_LOST = {"\t\tpte_free_kernel(&init_mm, pgtable);\n": "\t\t;\n"}
#: vmemmap_restore_pte() maps a page before it is filled: what B02 allows with weak memory, on every CPU.
_COPY = "\tcopy_page(page_to_virt(dst)"
MAPPED_FIRST = {_COPY: f"\tset_pte_at(&init_mm, addr, pte, mk_pte(dst, PAGE_KERNEL));\n{_COPY}"}
READERS = "optimize A, scanner A.200, walk-ahead A.200"
BATCH = "optimize-list A, scanner A.200, walk-ahead A.200"


def test_a_leaf_that_two_cpus_split_is_caught_without_the_second_look_at_it() -> None:
    made = program(EngineOf(linked_hvo(IMAGE, WITHOUT_RECHECK).kernel), "optimize A, optimize B", split=False)
    assert any(text.startswith("invariant 1 (remapped)") for text in explore(made, Dpor()).findings)


def test_a_read_through_a_stale_translation_is_caught_without_the_flush() -> None:
    made = program(EngineOf(linked_hvo(IMAGE, WITHOUT_FLUSH).kernel), READERS)
    assert any("free frame" in text for text in explore(made, Dpor()).findings)


@pytest.mark.parametrize(
    ("edits", "actors", "text"),
    [(WITHOUT_GRACE_PERIOD, "recycle A.64, taker A.64", "faults"), (WITHOUT_LAST_FLUSH, BATCH, "free frame")],
    ids=["B24", "B27"],
)
def test_a_historic_bug_is_found_in_the_kernels_own_code(edits: dict[str, str], actors: str, text: str) -> None:
    made = program(EngineOf(linked_hvo(IMAGE, edits).kernel), actors)
    assert any(text in found for found in explore(made, Dpor()).findings)


def test_a_table_that_is_lost_when_another_cpu_has_split_the_leaf_is_caught() -> None:
    made = program(EngineOf(linked_hvo(IMAGE, TABLE_LOST).kernel), "optimize A, optimize B", split=False)
    assert any(text.startswith("invariant 4 (ownership)") for text in explore(made, Dpor()).findings)


@pytest.mark.parametrize(("edits", "found"), [(MAPPED_FIRST, True), ({}, False)], ids=["mapped-first", "unedited"])
def test_a_page_that_is_mapped_before_it_is_filled_is_caught_where_frames_are_poisoned(
    edits: dict[str, str],
    found: bool,  # noqa: FBT001
) -> None:
    engine = EngineOf(linked_hvo(IMAGE, edits).kernel)
    result = explore(program(engine, "restore A, scanner A.200", options=WorldOptions(poisoned=True)), Dpor())
    assert any("loads what is not written yet at A.200" in text for text in result.findings) is found
    assert result.complete is not found


@pytest.mark.parametrize("actors", [READERS, "recycle A.64, taker A.64", BATCH])
def test_the_unedited_file_is_quiet(actors: str) -> None:
    result = explored(program(EngineOf(linked_hvo(IMAGE).kernel), actors))
    assert result.complete
    assert not result.findings
