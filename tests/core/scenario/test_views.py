"""Views of a folio's vmemmap: runs that read alike, frame by frame what the tables say."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hvolab.machine import MachineSpec
from hvolab.scenario.views import folded, view_vmemmap
from tests.machines import GIB, pools


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
    assert restored.mapped_by() == (("pte", 4096),)
    assert len(restored.frames()) == 4096
    frames = tables.frames(folio, 4096).tolist()
    assert [restored.frame(page) for page in range(4096)] == frames
    assert [run.va for run in restored.runs] == [folio + run.page * 4096 for run in restored.runs]


def test_leaves_above_the_last_level_are_listed_one_by_one() -> None:
    made = pools(MachineSpec(memory=4 * GIB))
    folio = made.machine.struct_pages.va(0x40000)
    view = view_vmemmap(made.machine, folio, 4096)
    assert view.mapped_by() == (("pmd", 8),)
    assert [run.pages for run in view.runs] == [512] * 8
    assert [view.frame(page) for page in range(4096)] == made.machine.tables.frames(folio, 4096).tolist()


@given(st.frozensets(st.integers(0, 60)))
def test_folded_ranges_hold_the_same_frames_and_never_touch(pfns: frozenset[int]) -> None:
    ranges = folded(pfns)
    assert [pfn for first, last in ranges for pfn in range(first, last + 1)] == sorted(pfns)
    assert all(after[0] - before[1] > 1 for before, after in itertools.pairwise(ranges))
