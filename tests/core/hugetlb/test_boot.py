# SPDX-License-Identifier: GPL-2.0-only
"""Folios allocated at boot."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import Pool, alloc_boot_pages, alloc_bootmem_huge_page, gather_bootmem_prealloc
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from hvolab.plugin import registry
from hvolab.trace import AllFlushed, Event
from hvolab.units import NodeCounts
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, Pools, pools

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


def gigantic_pool(release: str = "6.12", memory: int = 256 * MIB) -> tuple[Pools, Pool]:
    """A machine of two nodes, and its pool of gigantic folios of 32 MiB."""
    target = registry().architecture("arm64").select("4K-48bit", release=release)
    lab = pools(MachineSpec(memory=memory, nodes=2), target)
    return lab, next(pool for pool in lab.pools if pool.h.size == 32 * MIB)


@pytest.mark.parametrize(("release", "late"), [("6.1", False), ("6.12", True)])
def test_tails_of_a_reserved_folio_are_not_initialized_yet_where_the_release_does_that_late(
    release: str,
    late: bool,  # noqa: FBT001
) -> None:
    _, pool = gigantic_pool(release)
    pages, layout, count = pool.machine.struct_pages, pool.machine.struct_pages.layout, 1 << pool.h.order
    pfn = alloc_bootmem_huge_page(pool)
    words = [pages.word(pfn + number, layout.lru_next) for number in (0, 1, count - 1, count)]
    assert [bool(word) for word in words] == [True, not late, not late, True]


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_folio_of_boot_has_the_struct_pages_of_one_that_is_allocated_later(release: str, fails: bool) -> None:  # noqa: FBT001
    found = []
    for boot in (True, False):
        lab, pool = gigantic_pool(release)
        cpu, layout, count = lab.machine.cpus[0], lab.machine.struct_pages.layout, 1 << pool.h.order
        reserved = [alloc_bootmem_huge_page(pool)] if boot else []
        for pfn in reserved:  # what is not initialized may hold anything
            cpu.store(lab.machine.struct_pages.va(pfn), b"\x5a" * (count * layout.size))
        lab.frames.failure = FailFrom(1) if fails and boot else NeverFail()
        lab.machine.optimize_enabled = boot or not fails
        if boot:
            gather_bootmem_prealloc(pool, reserved)
        else:
            pool.set_max_huge_pages(1)
        (folio,) = pool.live
        words = np.frombuffer(cpu.load(folio, 64 * layout.size), "<u8").reshape(-1, layout.words)
        links = [layout.lru_next // 8, layout.lru_prev // 8]  # of the free list, or to the folio itself
        found.append(np.delete(words, links, axis=1) if fails else words[:, layout.private // 8])
        assert optimized(pool) == (not fails)
        tail = np.frombuffer(cpu.load(folio + (count - 1) * layout.size, layout.size), "<u8")
        assert tail[layout.compound_head // 8] == (layout.tail_link(folio, pool.h.order))
        assert not (tail == 0x5A5A5A5A5A5A5A5A).any()
    assert (found[0] == found[1]).all()


def test_a_folio_comes_from_another_node_where_the_next_one_is_full() -> None:
    _, pool = gigantic_pool()
    assert alloc_boot_pages(pool, NodeCounts({0: 99})) == pool.h.nr_node[0] < 4
    before = pool.h.nr
    assert alloc_boot_pages(pool, 2) == 2
    assert (pool.h.nr, pool.h.nr_node[1]) == (before + 2, 2)
