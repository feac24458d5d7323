# SPDX-License-Identifier: GPL-2.0-only
"""Folios allocated at boot."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import alloc_boot_pages, alloc_bootmem_huge_page, gather_bootmem_prealloc
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from hvolab.plugin import registry
from hvolab.trace import AllFlushed, Event
from hvolab.units import NodeCounts
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, pools

_SMALL = MachineSpec(memory=512 * MIB)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_gigantic_boot_folios_initialize_their_tails_only_where_hvo_did_not_free_them(fails: bool) -> None:  # noqa: FBT001
    lab = pools(_GIGANTIC)
    pool = lab.pools[1]
    pool.h.max_huge_pages = 1  # as hugepages= sets it
    reserved = [alloc_bootmem_huge_page(pool)]
    lab.frames.failure = FailFrom(1) if fails else NeverFail()
    gather_bootmem_prealloc(pool, reserved)
    lab.frames.failure = NeverFail()
    assert optimized(pool) == (0 if fails else 1)
    assert (pool.h.nr, pool.h.free) == (1, 1)
    assert not lab.findings()
    pool.set_max_huge_pages(0)
    assert pool.h.nr == 0
    assert not lab.findings()
    with pytest.raises(UsageError):
        alloc_bootmem_huge_page(lab.pools[0])


def test_pages_by_node_are_optimized_one_by_one_and_only_there() -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    pool = lab.pools[0]
    batches: list[Event] = []
    with lab.machine.trace.listen(batches.append):
        assert alloc_boot_pages(pool, NodeCounts({0: 2, 1: 99})) == pool.h.nr == optimized(pool)
    assert pool.h.nr_node[0] == pool.h.max_huge_pages_node[0] == 2
    assert pool.h.nr_node[1] == pool.h.max_huge_pages_node[1] > 40
    assert pool.h.max_huge_pages == pool.h.nr == pool.h.free
    assert not any(isinstance(event, AllFlushed) for event in batches)
    assert not lab.findings()


def test_pages_without_nodes_are_a_batch_of_the_nodes_in_turn() -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    pool = lab.pools[0]
    batches: list[Event] = []
    with lab.machine.trace.listen(batches.append):
        assert alloc_boot_pages(pool, 5) == 5
    assert (pool.h.nr_node, pool.h.max_huge_pages) == ([3, 2], 5)
    assert sum(isinstance(event, AllFlushed) for event in batches) == 2
    assert not lab.findings()


@pytest.mark.slow
def test_gigantic_pages_are_reserved_on_the_nodes_in_turn_or_where_they_fit() -> None:
    target = registry().architecture("arm64").select("4K-48bit")
    lab = pools(MachineSpec(memory=512 * MIB, nodes=2), target)
    pool = next(pool for pool in lab.pools if pool.h.size == 32 * MIB)
    assert alloc_boot_pages(pool, 3) == 3
    assert pool.h.nr_node == [2, 1]
    assert alloc_boot_pages(pool, NodeCounts({1: 2})) == 2
    assert pool.h.nr_node == [2, 3]
    assert alloc_boot_pages(pool, 99) == pool.h.nr - 5 < 12
    assert pool.h.max_huge_pages == pool.h.nr
    assert not lab.findings()
