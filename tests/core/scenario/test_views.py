# SPDX-License-Identifier: GPL-2.0-only
"""Views of a folio's vmemmap: runs that read alike, frame by frame what the tables say; and their observer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.hugetlb import Pool
from hvolab.machine import MachineSpec
from hvolab.release import RELEASES, KernelRelease
from hvolab.scenario.views import Observer, folded, view_vmemmap
from tests.machines import GIB, MIB, pools, x86_64


def test_a_view_follows_a_folio_from_leaves_to_shared_frames_and_back() -> None:
    made = pools(MachineSpec(memory=4 * GIB))
    pool, tables = made.pools[-1], made.machine.tables
    pool.set_max_huge_pages(1)
    [folio] = pool.live
    after = view_vmemmap(made.machine, folio, 4096)
    head, tails = after.runs
    assert (head.pages, head.writable, tails.pages, tails.writable, tails.step) == (1, True, 4095, False, 0)
    assert after.frames() == {head.pfn}
    pool.set_max_huge_pages(0)
    restored = view_vmemmap(made.machine, folio, 4096)
    assert restored.mapped_by() == {"pte": 4096}
    assert len(restored.frames()) == 4096
    frames = tables.frames(folio, 4096).tolist()
    assert [restored.frame(page) for page in range(4096)] == frames
    assert [run.va for run in restored.runs] == [folio + run.page * 4096 for run in restored.runs]


def test_leaves_above_the_last_level_are_listed_one_by_one() -> None:
    made = pools(MachineSpec(memory=4 * GIB))
    folio = made.machine.struct_pages.va(0x40000)
    view = view_vmemmap(made.machine, folio, 4096)
    assert view.mapped_by() == {"pmd": 8}
    assert [run.pages for run in view.runs] == [512] * 8
    assert [view.frame(page) for page in range(4096)] == made.machine.tables.frames(folio, 4096).tolist()


@given(st.frozensets(st.integers(0, 60)))
def test_folded_ranges_hold_the_same_frames_and_never_touch(pfns: frozenset[int]) -> None:
    ranges = folded(pfns)
    assert [pfn for first, last in ranges for pfn in range(first, last + 1)] == sorted(pfns)
    assert all(after[0] - before[1] > 1 for before, after in itertools.pairwise(ranges))


@pytest.mark.parametrize("release", [each for each in RELEASES if each.anywhere], ids=str)
def test_the_first_folio_is_viewed_before_and_after(release: KernelRelease) -> None:
    lab = pools(MachineSpec(memory=256 * MIB), x86_64(release=release))
    observer = Observer(lab.hvo)
    pool = Pool(lab.machine, lab.pools[0].h, observer)
    pool.set_max_huge_pages(2)
    [seen] = observer.histories.values()
    assert seen.before.va in pool.live
    assert (seen.size, seen.pfn) == (2 * MIB, lab.machine.struct_pages.pfn(seen.before.va))
    assert [run.level for run in seen.before.runs] == ["pmd"]
    assert [(run.level, run.writable) for run in seen.after.runs] == [("pte", True), ("pte", False)]
    pool.set_max_huge_pages(0)
    pool.set_max_huge_pages(1)
    assert observer.histories == {pool.h.order: seen}
    assert lab.hvo.folio_optimized(next(iter(pool.live)))


def test_a_folio_smaller_than_a_page_of_vmemmap_is_viewed_as_that_page() -> None:
    made = pools(MachineSpec(memory=256 * MIB))
    for pfn in (0x1000, 0x1010, 0x1030):
        view = view_vmemmap(made.machine, made.machine.struct_pages.va(pfn), 1)
        [run] = view.runs
        assert (run.level, run.pages, run.entries, run.step) == ("pmd", 1, 1, 1)
        assert run.pfn == made.machine.tables.frame_of(view.va)
