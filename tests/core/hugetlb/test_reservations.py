# SPDX-License-Identifier: GPL-2.0-only
"""Reservations: the surplus folios that they allocate, and the free folios that they keep."""

from __future__ import annotations

import errno

import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import Pool, reservations
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailCalls, FailFrom, NeverFail
from hvolab.release import release_named
from hvolab.trace import Event, FolioStep
from tests.machines import MIB, Pools, pools, x86_64

_SMALL = MachineSpec(memory=128 * MIB)


def reserved(free: int, reserve: int, spec: MachineSpec = _SMALL) -> tuple[Pools, Pool]:
    """A pool of free folios, of which some are reserved."""
    lab = pools(spec)
    pool = lab.pools[0]
    pool.set_max_huge_pages(free)
    assert reservations.reserve(pool, reserve) == 0
    return lab, pool


def counts(pool: Pool) -> tuple[int, int, int, int]:
    """Folios, free, surplus and reserved ones."""
    assert pool.h.available >= 0
    return pool.h.nr, pool.h.free, pool.h.surplus, pool.h.resv


def test_reserved_folios_are_neither_used_nor_dissolved_nor_freed_by_a_shrinking_pool() -> None:
    lab, pool = reserved(4, 3)
    assert counts(pool) == (4, 4, 0, 3)
    folio = pool.dequeue()
    assert folio is not None
    assert pool.dequeue() is None
    assert [pool.dissolve(folio) for folio in pool.free_folios()] == [-errno.EBUSY] * 3
    pool.put(folio)
    pool.set_max_huge_pages(0)
    assert counts(pool) == (3, 3, 3, 3)  # what is reserved stays, as surplus
    assert lab.findings() == []
    reservations.unreserve(pool, 3)
    assert counts(pool) == (0, 0, 0, 0)
    assert lab.findings() == []


def test_more_reservations_than_free_folios_allocate_surplus_which_is_freed_with_them() -> None:
    lab, pool = reserved(2, 5)
    assert counts(pool) == (5, 5, 3, 5)
    assert lab.machine.key == 5
    reservations.unreserve(pool, 1)
    assert counts(pool) == (4, 4, 2, 4)
    reservations.unreserve(pool, 4)
    assert counts(pool) == (2, 2, 0, 0)
    assert lab.findings() == []


@pytest.mark.parametrize("overcommit", [0, 2])
def test_a_reservation_beyond_the_limit_of_surplus_changes_nothing(overcommit: int) -> None:
    lab, pool = reserved(2, 1)
    pool.h.nr_overcommit_huge_pages = overcommit
    assert reservations.reserve(pool, overcommit + 2) == -errno.ENOMEM
    assert counts(pool) == (2, 2, 0, 1)
    assert reservations.reserve(pool, overcommit + 1) == 0
    assert counts(pool) == (2 + overcommit, 2 + overcommit, overcommit, 2 + overcommit)
    assert lab.findings() == []


@pytest.mark.parametrize("failing", range(1, 6))
def test_each_allocation_that_fails_leaves_all_reserved_or_nothing(failing: int) -> None:
    lab, pool = reserved(1, 1)
    lab.frames.failure = FailCalls(frozenset({failing}))
    result = reservations.reserve(pool, 2)
    lab.frames.failure = NeverFail()
    assert counts(pool) in {0: [(3, 3, 2, 3)], -errno.ENOMEM: [(1, 1, 0, 1)]}[result]
    assert lab.findings() == []


def test_surplus_that_cannot_be_restored_stays_free_when_its_reservation_ends() -> None:
    lab, pool = reserved(0, 2)
    lab.frames.failure = FailFrom(1)
    reservations.unreserve(pool, 2)
    assert counts(pool) == (2, 2, 2, 0)
    assert lab.findings() == []


def test_surplus_in_use_is_not_freed_with_a_reservation() -> None:
    lab, pool = reserved(0, 2)
    assert reservations.fault(pool) is not None
    assert counts(pool) == (2, 1, 2, 1)
    assert reservations.fault(pool) is not None
    assert reservations.fault(pool) is None
    assert reservations.reserve(pool, 0) == 0
    reservations.unreserve(pool, 0)
    assert counts(pool) == (2, 0, 2, 0)
    assert lab.findings() == []


def test_a_folio_gives_its_reservation_back_until_it_is_mapped() -> None:
    lab, pool = reserved(3, 2)
    allocated = pool.dequeue(reserved=True)
    mapped = reservations.fault(pool)
    assert allocated is not None
    assert mapped is not None
    layout = lab.machine.struct_pages.layout
    assert pool.folio.flag(allocated, layout.hpg_restore_reserve)
    assert pool.folio.flag(mapped, layout.hpg_migratable)
    assert pool.h.resv == 0
    pool.put(mapped)
    assert counts(pool) == (3, 2, 0, 0)
    pool.put(allocated)
    assert counts(pool) == (3, 3, 0, 1)
    flags = 1 << layout.hpg_restore_reserve | 1 << layout.hpg_migratable
    assert not any(pool.folio.private(folio) & flags for folio in (allocated, mapped))
    assert lab.findings() == []


def test_surplus_comes_from_another_node_if_one_is_full() -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    pool = lab.pools[0]
    while pool.alloc_surplus(0) is not None and not pool.h.nr_node[1]:
        pass
    before = pool.h.nr_node.copy()
    assert reservations.reserve(pool, 2) == 0
    assert pool.h.nr_node == [before[0], before[1] + 2]
    assert lab.findings() == []


def test_a_number_that_cannot_be_is_refused() -> None:
    _, pool = reserved(2, 1)
    with pytest.raises(UsageError, match="-1 reservations"):
        reservations.reserve(pool, -1)
    with pytest.raises(UsageError, match="2 reservations of 1 are released"):
        reservations.unreserve(pool, 2)


@pytest.mark.parametrize(("release", "result"), [("6.1", -errno.ENOMEM), ("6.12", 0), ("7.2", -errno.ENOMEM)])
def test_a_second_node_is_preferred_after_a_failure_where_the_release_tries_each(release: str, result: int) -> None:
    # by the code of Debian's kernels of these releases
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2), x86_64(release=release_named(release)))
    lab.frames.failure = FailCalls(frozenset({1}))
    assert reservations.reserve(lab.pools[0], 1) == result
    assert lab.findings() == []


def test_surplus_in_use_ends_the_search_for_free_surplus() -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    pool = lab.pools[0]
    pool.set_max_huge_pages(1, node=1)
    assert pool.alloc_surplus(0) is not None
    assert reservations.reserve(pool, 1) == 0
    reservations.unreserve(pool, 1)
    assert counts(pool) == (2, 1, 1, 0)
    assert pool.h.free_node == [0, 1]
    assert lab.findings() == []


def test_surplus_that_is_not_needed_any_more_is_freed_again() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    used = pool.dequeue()
    assert used is not None

    def listen(event: Event) -> None:
        if isinstance(event, FolioStep) and event.step == "optimize.begin":
            pool.put(used)

    with lab.machine.trace.listen(listen):
        assert reservations.reserve(pool, 1) == 0
    assert counts(pool) == (1, 1, 0, 1)
    assert pool.live == {used}
    assert lab.findings() == []
