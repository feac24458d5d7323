# SPDX-License-Identifier: GPL-2.0-only
"""Demotion gives optimized folios of the smaller size, or keeps the gigantic one."""

from __future__ import annotations

import errno
from itertools import pairwise

import pytest

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.hugetlb import demote_pool_huge_page
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from hvolab.plugin import registry
from hvolab.release.releases import V6_1
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, pools

_SMALL = MachineSpec(memory=512 * MIB)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)


@pytest.mark.slow
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


def arm64(mode: str) -> Target:
    return registry().architecture("arm64").select(mode)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (arm64("4K-48bit"), (2 * MIB, 64 << 10)),
        (arm64("4K-48bit"), (32 * MIB, 2 * MIB, 64 << 10)),
        (arm64("16K-48bit"), (32 * MIB, 2 * MIB)),
        (arm64("64K-48bit"), (512 * MIB, 2 * MIB)),
        (registry().architecture("riscv").select(features=("svnapot",)), (2 * MIB, 64 << 10)),
    ],
    ids=["arm64 4K", "arm64 4K gigantic", "arm64 16K", "arm64 64K", "riscv svnapot"],
)
def test_folios_of_every_size_but_the_smallest_are_demoted(target: Target, path: tuple[int, ...]) -> None:
    lab = pools(MachineSpec(memory=2 * GIB, deferred_struct_pages=True), target)
    by_size = {pool.h.size: pool for pool in lab.pools}
    by_size[path[0]].set_max_huge_pages(2)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        for source, into in pairwise(by_size[size] for size in path):
            before, parts = source.h.nr, 1 << (source.h.order - into.h.order)
            assert source.h.demote_order == into.h.order
            assert demote_pool_huge_page(source, into, 1) == 1
            assert (source.h.nr, source.h.free, source.h.max_huge_pages) == (before - 1,) * 3
            assert (into.h.nr, into.h.free, into.h.max_huge_pages) == (parts,) * 3
            can = lab.hvo.sizes(into.h).optimizable
            assert optimized(into) == (parts if can else 0)
            assert [finding for finding in lab.findings() if not finding.declared] == []
        for pool in lab.pools:
            pool.set_max_huge_pages(0)
    assert lab.machine.key == 0
    assert [finding for finding in (*monitor.findings, *lab.findings()) if not finding.declared] == []


def test_parts_that_are_gigantic_are_compound_pages_as_the_release_makes_them() -> None:
    """v6.1 leaves the mapping of the tails of a gigantic folio alone, of parts as well."""
    target = registry().architecture("arm64").select("4K-48bit", release=V6_1)
    lab = pools(MachineSpec(memory=3 * GIB, deferred_struct_pages=True), target)
    large, part = lab.pools[-1], lab.pools[-2]
    assert large.h.gigantic
    assert part.h.gigantic
    large.set_max_huge_pages(1)
    assert demote_pool_huge_page(large, part, 1) == 1
    pages = lab.machine.struct_pages
    tail = pages.pfn(next(part.free_folios())) + 8
    assert pages.word(tail, pages.layout.mapping) != pages.layout.tail_mapping
    assert [finding for finding in lab.findings() if not finding.declared] == []
