# SPDX-License-Identifier: GPL-2.0-only
"""Replacement of free folios."""

from __future__ import annotations

import errno

import pytest

from hvolab.errors import KernelBug
from hvolab.hugetlb import Pool
from hvolab.hugetlb.replace import alloc_and_dissolve, find_hstate, folio_hstate
from hvolab.invariants import check
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom
from hvolab.release.gfp import GFP_KERNEL
from tests.machines import MIB, pools


def grown_pool(count: int) -> Pool:
    """The smallest pool of a machine, grown."""
    pool = pools(MachineSpec(memory=256 * MIB)).pools[0]
    pool.set_max_huge_pages(count)
    return pool


def test_a_free_folio_is_replaced() -> None:
    pool = grown_pool(2)
    old = next(pool.free_folios())
    assert alloc_and_dissolve(pool, old) == 0
    assert old not in pool.live
    assert (pool.h.nr, pool.h.free, len(pool.live)) == (2, 2, 2)
    assert check(pool.machine, [pool]) == []


def test_a_folio_in_use_is_busy_and_one_that_has_left_is_no_error() -> None:
    pool = grown_pool(2)
    used = pool.dequeue()
    assert used is not None
    assert alloc_and_dissolve(pool, used) == -errno.EBUSY
    gone = next(pool.free_folios())
    assert pool.dissolve(gone) == 0
    assert pool.machine.alloc_pages(GFP_KERNEL, pool.h.order, 0) is not None  # else the new folio is in the same place
    assert alloc_and_dissolve(pool, gone) == 0
    assert check(pool.machine, [pool], other_frames=1 << pool.h.order) == []


def test_a_new_folio_in_the_place_of_the_old_one_is_waited_for_without_end_unless_that_is_isolated() -> None:
    pool = grown_pool(1)
    (gone,) = pool.live
    assert pool.dissolve(gone) == 0
    assert alloc_and_dissolve(pool, gone, isolated=True) == 0
    assert check(pool.machine, [pool]) == []
    with pytest.raises(KernelBug, match="without end"):
        alloc_and_dissolve(pool, gone)


def test_only_a_folio_of_hugetlb_has_an_hstate() -> None:
    pool = grown_pool(1)
    (folio,) = pool.live
    assert find_hstate(pool, folio) is pool.h
    assert pool.dissolve(folio) == 0
    assert find_hstate(pool, folio) is None
    with pytest.raises(KernelBug, match="no hugetlb type"):
        folio_hstate(pool, folio)


def test_without_memory_nothing_is_replaced() -> None:
    lab = pools(MachineSpec(memory=256 * MIB))
    pool = lab.pools[0]
    pool.set_max_huge_pages(2)
    before = set(pool.live)
    lab.frames.failure = FailFrom(1)
    assert alloc_and_dissolve(pool, next(pool.free_folios())) == -errno.ENOMEM
    assert (pool.live, pool.h.nr, pool.h.free) == (before, 2, 2)
    assert lab.findings() == []


def test_a_free_folio_with_a_reference_and_one_on_no_list_are_busy() -> None:
    pool = grown_pool(2)
    folio = next(pool.free_folios())
    pool.folio.set_refcount(folio, 1)
    assert alloc_and_dissolve(pool, folio) == -errno.EBUSY
    pool.folio.set_refcount(folio, 0)
    pool.folio.set_flag(folio, pool.folio.layout.hpg_freed, value=False)
    assert alloc_and_dissolve(pool, folio) == -errno.EBUSY
    pool.folio.set_flag(folio, pool.folio.layout.hpg_freed, value=True)
    assert alloc_and_dissolve(pool, folio) == 0
    assert (pool.h.nr, pool.h.free, pool.h.surplus, pool.h.surplus_node) == (2, 2, 0, [0])
    assert check(pool.machine, [pool]) == []
