# SPDX-License-Identifier: GPL-2.0-only
"""Demotion gives optimized folios of the smaller size, or keeps the gigantic one."""

from __future__ import annotations

import errno

import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import demote_pool_huge_page
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom
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
