# SPDX-License-Identifier: GPL-2.0-only
"""Pools over struct pages whose size is not a power of two: they work, and nothing is optimized."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.arch import PgprotRole
from hvolab.errors import MachineError, UsageError
from hvolab.hugetlb import demote_pool_huge_page
from hvolab.hvo import EngineSetup, Hvo, Sysctl
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec, VmemmapBacking, build_machine
from hvolab.plugin import registry
from hvolab.release import KernelRelease
from hvolab.scenario import ScenarioSpec, run_scenario
from tests.core.hugetlb.test_pool_releases import EACH, target_of
from tests.machines import GIB, MIB, Pools, pools, x86_64


def lab_with(size: int, spec: MachineSpec, release: KernelRelease | None = None) -> Pools:
    target = x86_64() if release is None else target_of(release)
    return pools(replace(spec, layout=replace(target.struct_page, size=size)), target)


@EACH
@pytest.mark.parametrize("size", [56, 72, 80, 88, 96])
def test_a_pool_works_without_hvo(release: KernelRelease, size: int) -> None:
    lab = lab_with(size, MachineSpec(memory=256 * MIB), release)
    pool = next(pool for pool in lab.pools if pool.h.size == 2 * MIB)
    free, monitor = lab.frames.free_frames, Monitor(lab.machine)
    with monitor.watch():
        pool.set_max_huge_pages(4)
        folio, surplus = pool.dequeue(), pool.alloc_surplus()
        assert folio is not None
        assert surplus is not None
        assert lab.findings() == []
        pool.put(folio)
        pool.put(surplus)
        assert pool.dissolve(next(pool.free_folios())) == 0
        assert (pool.h.nr, pool.h.free, pool.h.surplus, lab.machine.key) == (3, 3, 0, 0)
        assert not any(lab.hvo.folio_optimized(folio) for folio in pool.live)
        pool.set_max_huge_pages(0)
    assert lab.frames.free_frames == free
    assert lab.findings() == monitor.findings == []


def test_there_is_no_sysctl() -> None:
    lab = lab_with(80, MachineSpec(memory=256 * MIB))
    sysctl = Sysctl(lab.machine, [pool.h for pool in lab.pools])
    assert not sysctl.registered
    with pytest.raises(UsageError, match="is not registered"):
        sysctl.read()


@pytest.mark.slow
@pytest.mark.parametrize("backing", [VmemmapBacking.BOOT, VmemmapBacking.BUDDY])
@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "riscv"])
def test_nodes_and_demotion_work_on_every_architecture(architecture: str, backing: VmemmapBacking) -> None:
    target = registry().architecture(architecture).select()
    layout = replace(target.struct_page, size=80)
    lab = pools(MachineSpec(memory=4 * GIB, nodes=2, vmemmap=backing, layout=layout), target)
    small, large = (next(pool for pool in lab.pools if pool.h.size == size) for size in (2 * MIB, GIB))
    small.set_max_huge_pages(5)
    assert small.h.nr_node == [3, 2]
    large.set_max_huge_pages(1)
    while large.h.demote_order != small.h.order:
        into = next(pool for pool in lab.pools if pool.h.order == large.h.demote_order)
        assert demote_pool_huge_page(large, into, 1) == 1
        large = into
    assert demote_pool_huge_page(large, small, 1) == 1
    assert small.h.nr == 5 + large.h.size // small.h.size
    assert lab.findings() == []


def test_struct_pages_across_leaves_are_read_where_each_word_is() -> None:
    layout = replace(x86_64().struct_page, size=80)
    machine = build_machine(x86_64(), MachineSpec(memory=256 * MIB, layout=layout))
    pages, mode = machine.struct_pages, machine.target.mode
    leaf = mode.level(mode.vmemmap_level).size
    pfn = leaf // 80  # begins in the first leaf of the vmemmap, and ends in the second
    assert pages.va(pfn) < pages.base + leaf < pages.va(pfn) + 80
    moved = machine.frames.allocate(9, 0x342CCA, 0)
    assert moved is not None
    before = machine.cpus[0].load(pages.va(pfn), 80)
    first = machine.tables.frame_of(pages.base + leaf)
    assert first is not None
    machine.memory.pages[moved - machine.memory.first_pfn][:] = machine.memory.pages[first - machine.memory.first_pfn]
    machine.tables.map_leaf(pages.base + leaf, moved, mode.vmemmap_level, PgprotRole.KERNEL_LARGE, lambda _: 0)
    machine.cpus[0].flush_all()
    assert machine.cpus[0].load(pages.va(pfn), 80) == before
    for offset in range(0, 80, 8):
        expected = machine.cpus[0].load_word(pages.va(pfn) + offset)
        assert pages.word(pfn, offset) == expected
        assert pages.words(np.array([pfn] * 20), offset).tolist() == [expected] * 20


def test_a_scenario_runs_as_declared() -> None:
    layout = replace(x86_64().struct_page, size=80)
    spec = ScenarioSpec(x86_64(), memory=512 * MIB, engine=EngineSetup(make=Hvo, layout=layout))
    result = run_scenario(spec)
    assert result.as_declared
    assert result.frames_saved == 0
    assert [sum(pool.pages for pool in stage.pools) for stage in result.stages] == [0, 8, 0]


@pytest.mark.parametrize("size", [48, 60, 81])
def test_sizes_that_no_kernel_has_are_refused(size: int) -> None:
    with pytest.raises(MachineError, match=f"struct pages of {size} bytes"):
        lab_with(size, MachineSpec(memory=256 * MIB))


def test_self_hosted_vmemmap_is_refused() -> None:
    with pytest.raises(MachineError, match="self-hosted vmemmap with struct pages of 80 bytes"):
        lab_with(80, MachineSpec(memory=256 * MIB, vmemmap=VmemmapBacking.SELF_HOSTED))
