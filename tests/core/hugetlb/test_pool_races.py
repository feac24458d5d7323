# SPDX-License-Identifier: GPL-2.0-only
"""What others do to a pool while it works on folios: dissolve one that is on no free list, lower a limit."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from hvolab.hugetlb import Pool, demote_pool_huge_page
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom
from hvolab.release import KernelRelease
from hvolab.release.gfp import GFP_HUGETLB
from hvolab.release.releases import V6_12, V6_12_117, V7_2
from hvolab.trace import Event, FolioStep
from tests.core.hugetlb.test_pool_releases import EACH, X86, lab_of, undeclared
from tests.machines import GIB, MIB

_SMALL = MachineSpec(memory=256 * MIB)


def at(step: str, act: Callable[[int], None]) -> Callable[[Event], None]:
    """Return a listener that does something to each folio at a step of HVO."""

    def listen(event: Event) -> None:
        if isinstance(event, FolioStep) and event.step == step:
            act(event.folio)

    return listen


@EACH
@pytest.mark.parametrize("step", ["optimize.begin", "optimize.end"])
def test_a_folio_that_is_being_added_is_not_dissolved(release: KernelRelease, step: str) -> None:
    lab, pool = lab_of(release, _SMALL)
    pool.set_max_huge_pages(1)  # else none is free, which is refused as well
    results: list[int] = []
    marked = release.hugetlb.marked_first
    with lab.machine.trace.listen(at(step, lambda folio: results.append(pool.dissolve(folio)))):
        pool.set_max_huge_pages(3)
    assert results == [-errno.EBUSY if marked else 0] * 2  # without its mark, it is none of hugetlb's: 0 at once
    assert (pool.h.nr, pool.h.free, pool.h.max_huge_pages, len(list(pool.free_folios()))) == (3, 3, 3, 3)
    assert undeclared(*lab.findings()) == []
    assert pool.dissolve(next(pool.free_folios())) == 0
    assert pool.h.nr == 2


@EACH
@pytest.mark.parametrize("step", ["restore.begin", "restore.end"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_folio_that_is_being_removed_is_not_dissolved(release: KernelRelease, step: str, fails: bool) -> None:  # noqa: FBT001
    lab, pool = lab_of(release, _SMALL)
    pool.set_max_huge_pages(3)
    results: list[int] = []
    if fails:
        lab.frames.failure = FailFrom(1)
    with lab.machine.trace.listen(at(step, lambda folio: results.append(pool.dissolve(folio)))):
        pool.set_max_huge_pages(1)
    assert len(results) >= 2
    assert set(results) == {-errno.EBUSY}
    left = 3 if fails else 1
    assert (pool.h.nr, pool.h.free, len(list(pool.free_folios()))) == (left, left, left)
    assert undeclared(*lab.findings()) == []


# v6.1 leaves HPG_freed, and no reference, on a folio that is being demoted: there it can be dissolved
@pytest.mark.slow
@pytest.mark.parametrize("release", [V6_12, V6_12_117, V7_2], ids=str)
def test_a_folio_that_is_being_demoted_is_not_dissolved(release: KernelRelease) -> None:
    lab, large = lab_of(release, MachineSpec(memory=3 * GIB, deferred_struct_pages=True), GIB)
    large.set_max_huge_pages(2)
    results: list[int] = []
    with lab.machine.trace.listen(at("restore.end", lambda folio: results.append(large.dissolve(folio)))):
        assert demote_pool_huge_page(large, lab.pools[0], 1) == 1
    assert results == [-errno.EBUSY]
    assert (large.h.nr, lab.pools[0].h.nr) == (1, 512)
    assert undeclared(*lab.findings()) == []


# surplus


@EACH
def test_surplus_comes_from_another_node_if_its_own_is_full_and_is_counted_there(release: KernelRelease) -> None:
    lab, pool = lab_of(release, MachineSpec(memory=256 * MIB, nodes=2))
    others: list[int] = []
    while (pfn := lab.machine.alloc_pages(GFP_HUGETLB, pool.h.order, 0)) is not None:  # of node 0 alone
        others.append(pfn)
    assert others
    assert pool.alloc_surplus(1) is not None  # but node 0 has none
    folio = pool.alloc_surplus(0)
    assert folio is not None
    assert pool.folio.node(folio) == 1
    assert (pool.h.nr_node, pool.h.surplus_node) == ([0, 2], [0, 2])
    pool.put(folio)
    assert (pool.h.nr_node, pool.h.surplus_node, pool.h.nr) == ([0, 1], [0, 1], 1)
    for pfn in others:
        lab.machine.free_pages(pfn, pool.h.order)
    assert undeclared(*lab.findings()) == []


@EACH
def test_surplus_is_of_the_node_that_was_requested_as_long_as_it_has_memory(release: KernelRelease) -> None:
    _, pool = lab_of(release, MachineSpec(memory=256 * MIB, nodes=2))
    folios = [pool.alloc_surplus(node) for node in (1, 0, 1)]
    assert [pool.folio.node(folio) for folio in folios if folio is not None] == [1, 0, 1]
    assert pool.h.surplus_node == [1, 2]


@EACH
def test_nr_overcommit_huge_pages_limits_surplus(release: KernelRelease) -> None:
    lab, pool = lab_of(release, _SMALL)
    pool.h.nr_overcommit_huge_pages = 2
    first, second, third = (pool.alloc_surplus() for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is None
    assert (pool.h.nr, pool.h.surplus) == (2, 2)
    pool.put(first)
    assert pool.alloc_surplus() is not None
    pool.h.nr_overcommit_huge_pages = 0
    assert pool.alloc_surplus() is None
    assert (pool.h.nr, len(pool.live)) == (2, 2)
    assert undeclared(*lab.findings()) == []


@EACH
def test_a_limit_that_is_lowered_meanwhile_frees_the_new_surplus_folio(release: KernelRelease) -> None:
    lab, pool = lab_of(release, _SMALL)
    pool.set_max_huge_pages(1)

    def lower(_: int) -> None:
        pool.h.nr_overcommit_huge_pages = 0

    with lab.machine.trace.listen(at("optimize.end", lower)):
        assert pool.alloc_surplus() is None
    assert (pool.h.nr, pool.h.free, pool.h.surplus, len(pool.live)) == (1, 1, 0, 1)
    assert pool.temporaries == 1  # it is freed as one
    assert undeclared(*lab.findings()) == []


@X86
def test_surplus_is_gigantic_only_since_v6_19(release: KernelRelease) -> None:
    lab, pool = lab_of(release, MachineSpec(memory=3 * GIB, deferred_struct_pages=True), GIB)
    folio = pool.alloc_surplus()
    if not release.hugetlb.overcommits_gigantic:
        assert folio is None
        assert (pool.h.nr, pool.h.surplus) == (0, 0)
        return
    assert folio is not None
    assert (pool.h.nr, pool.h.surplus, pool.folio.refcount(folio)) == (1, 1, 1)
    pool.put(folio)
    assert pool.h.nr == 0
    assert undeclared(*lab.findings()) == []


def _counts(pool: Pool) -> tuple[int, int, int]:
    return pool.h.nr, pool.h.free, pool.h.surplus


@EACH
def test_temporary_folios_leave_whether_their_node_has_surplus_or_not(release: KernelRelease) -> None:
    lab, pool = lab_of(release, _SMALL)
    kept = pool.alloc_surplus()
    assert kept is not None
    with lab.machine.trace.listen(at("optimize.end", lambda _: setattr(pool.h, "nr_overcommit_huge_pages", 1))):
        assert pool.alloc_surplus() is None
    assert _counts(pool) == (1, 0, 1)
    pool.put(kept)
    assert _counts(pool) == (0, 0, 0)
    assert undeclared(*lab.findings()) == []
