# SPDX-License-Identifier: GPL-2.0-only
"""Demotion gives optimized folios of the smaller size, or keeps the gigantic one."""

from __future__ import annotations

import errno

import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import demote_pool_huge_page
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, pools

_SMALL = MachineSpec(memory=512 * MIB)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)


def test_demoting_a_gigantic_folio_gives_optimized_small_ones() -> None:
    lab = pools(_GIGANTIC)
    small, large = lab.pools
    large.set_max_huge_pages(1)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        assert demote_pool_huge_page(large, small, 1) == 1
    assert (large.h.nr, small.h.nr, small.h.max_huge_pages, large.h.max_huge_pages) == (0, 512, 512, 0)
    assert optimized(small) == lab.machine.key == 512
    assert not lab.findings()
    assert not monitor.findings


def test_demoting_without_memory_leaves_the_gigantic_folio() -> None:
    lab = pools(_GIGANTIC)
    small, large = lab.pools
    large.set_max_huge_pages(1)
    lab.frames.failure = FailFrom(100)
    assert demote_pool_huge_page(large, small, 1) == -errno.ENOMEM
    assert (large.h.nr, large.h.free, small.h.nr) == (1, 1, 0)
    assert optimized(large) == 1
    assert not lab.findings()
    assert demote_pool_huge_page(large, small, 1) == -errno.ENOMEM
    with pytest.raises(UsageError):
        demote_pool_huge_page(small, large, 1)


def test_demoting_a_surplus_folio_leaves_surplus_above_the_number_of_pages_as_v6_12_does() -> None:
    # Kernel: demote_pool_huge_page() calls remove_hugetlb_folio() with adjust_surplus false, v6.12. A failed restore
    # makes the free surplus page. The invariant reports what is left.
    lab = pools(_GIGANTIC)
    small, large = lab.pools
    large.set_max_huge_pages(1)
    lab.frames.failure = FailFrom(1)
    large.set_max_huge_pages(0)
    assert (large.h.nr, large.h.free, large.h.surplus) == (1, 1, 1)
    lab.frames.failure = NeverFail()
    assert demote_pool_huge_page(large, small, 1) == 1
    assert (large.h.nr, large.h.surplus, small.h.nr) == (0, 1, 512)
    assert ["surplus 1 is more than nr_hugepages 0" in str(finding) for finding in lab.findings()] == [True]
