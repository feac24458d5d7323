# SPDX-License-Identifier: GPL-2.0-only
"""Gigantic folios reserved at boot."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import alloc_bootmem_huge_page, gather_bootmem_prealloc
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, pools

_SMALL = MachineSpec(memory=512 * MIB)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)


@pytest.mark.parametrize("fails", [False, True])
def test_gigantic_boot_folios_initialize_their_tails_only_where_hvo_did_not_free_them(fails: bool) -> None:  # noqa: FBT001
    lab = pools(_GIGANTIC)
    pool = lab.pools[1]
    reserved = [alloc_bootmem_huge_page(pool)]
    lab.frames.failure = FailFrom(1) if fails else NeverFail()
    gather_bootmem_prealloc(pool, reserved)
    lab.frames.failure = NeverFail()
    assert optimized(pool) == (0 if fails else 1)
    assert (pool.h.nr, pool.h.free, pool.h.max_huge_pages) == (1, 1, 1)
    assert not lab.findings()
    pool.set_max_huge_pages(0)
    assert pool.h.nr == 0
    assert not lab.findings()
    with pytest.raises(UsageError):
        alloc_bootmem_huge_page(lab.pools[0])
