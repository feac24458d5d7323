# SPDX-License-Identifier: GPL-2.0-only
"""Demotion gives optimized folios of the smaller size, or keeps the gigantic one."""

from __future__ import annotations

import errno
from itertools import pairwise

import numpy as np
import pytest

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.hugetlb import Pool, demote_pool_huge_page
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailCalls, FailFrom, NeverFail
from hvolab.plugin import registry
from hvolab.release.releases import V6_1
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, Pools, pools

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


def two_nodes(release: str, folios: int = 4, *, optimize: bool = True) -> tuple[Pools, Pool, Pool]:
    """A machine of two nodes with pools of 2 MiB and 32 MiB, and folios in the latter."""
    target = registry().architecture("arm64").select("4K-48bit", release=release)
    lab = pools(MachineSpec(memory=512 * MIB, nodes=2), target)
    lab.machine.optimize_enabled = optimize
    small, large = (next(pool for pool in lab.pools if pool.h.size == size) for size in (2 * MIB, 32 * MIB))
    large.set_max_huge_pages(folios)
    return lab, small, large


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
def test_as_many_as_requested_are_demoted_of_the_nodes_in_turn(release: str) -> None:
    lab, small, large = two_nodes(release)
    assert demote_pool_huge_page(large, small, 3) == 3
    assert (large.h.nr, large.h.max_huge_pages, small.h.nr, small.h.max_huge_pages) == (1, 1, 48, 48)
    assert sorted(large.h.nr_node) == [0, 1]
    assert demote_pool_huge_page(large, small, 3) == 1
    assert demote_pool_huge_page(large, small, 1) == -errno.EBUSY
    assert demote_pool_huge_page(large, small, 0) == -errno.EBUSY
    assert [str(finding) for finding in lab.findings() if not finding.declared] == []


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
def test_one_that_cannot_be_restored_ends_the_demotion_of_others(release: str) -> None:
    lab, small, large = two_nodes(release)
    lab.frames.failure = FailCalls(frozenset({1}))
    assert demote_pool_huge_page(large, small, 1) == -errno.ENOMEM
    assert (large.h.nr_node, large.h.free, small.h.nr) == ([2, 2], 4, 0)
    lab.frames.failure = FailCalls(frozenset({1}))
    assert demote_pool_huge_page(large, small, 4) == -errno.ENOMEM
    assert (large.h.nr, large.h.free) == (4 - small.h.nr // 16,) * 2
    assert small.h.nr <= 16
    assert [str(finding) for finding in lab.findings() if not finding.declared] == []


@pytest.mark.parametrize("release", ["6.12", "7.2"])
def test_parts_are_as_new_folios_of_their_size(release: str) -> None:
    lab, small, large = two_nodes(release, 1, optimize=False)
    assert demote_pool_huge_page(large, small, 1) == 1
    layout, load = lab.machine.struct_pages.layout, lab.machine.cpus[0].load
    parts = sorted(small.live)
    assert [folio - parts[0] for folio in parts] == [number * 512 * layout.size for number in range(16)]
    small.set_max_huge_pages(17)
    (new,) = small.live - set(parts)
    expected = relative(load(new, 64 * layout.size), new)
    for folio in (parts[0], parts[1], parts[-1]):
        assert relative(load(folio, 64 * layout.size), folio) == expected


def relative(octets: bytes, folio: int) -> list[int]:
    """Words of struct pages, those that point into them as offsets, without the links of the free list."""
    words = np.frombuffer(octets, "<u8") - np.uint64(folio)
    words = np.where(words < len(octets), words, words + np.uint64(folio))
    return [*words[:1].tolist(), *words[3:].tolist()]
