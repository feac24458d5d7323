# SPDX-License-Identifier: GPL-2.0-only
"""Pools of a kernel's own hugetlb functions: counters, results and the work that they queue."""

from __future__ import annotations

import errno

import pytest

from hvolab.hugetlb import hstates
from hvolab.machine import Machine
from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab_kernel.comparison.callers import KernelPool
from hvolab_kernel.comparison.callers.functions import functions_of
from hvolab_kernel.comparison.callers.hstate import place_hstates
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, SIZE, machine_for

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


def pool_of(kernel: Kernel) -> tuple[Machine, KernelPool]:
    machine = machine_for(kernel)
    hvo = KernelHvo(machine, kernel)
    hs = hstates(machine)
    placed = place_hstates(hvo.kernel_cpu.loaded, machine.nodes, hs)
    h = next(one for one, h in zip(placed, hs, strict=True) if h.size == SIZE)
    return machine, KernelPool(hvo, h, functions_of(kernel))


def optimized(machine: Machine, pool: KernelPool) -> int:
    """Return the number of optimized folios, which the static key has where the release counts them."""
    found = sum(map(pool.hvo.folio_optimized, pool.free_folios(0)))
    assert machine.key == (found if machine.target.release.variant.counts_folios else 0)
    return found


@FETCHED
def test_a_pool_grows_and_shrinks_and_frames_return(real_kernel: Kernel) -> None:
    machine, pool = pool_of(real_kernel)
    assert isinstance(machine.frames, FrameAllocator)
    before = machine.frames.free_frames
    assert pool.set_max_huge_pages(3) == 0
    assert optimized(machine, pool) == 3
    counters = pool.h.counters()
    assert [counters[name] for name in ("nr", "free", "nr, node 0", "surplus", "max_huge_pages")] == [3, 3, 3, 0, 3]
    assert pool.set_max_huge_pages(0) == 0
    assert machine.key == 0
    assert not any(value for name, value in pool.h.counters().items() if not name.startswith("next"))
    # the page allocator does not take back folios with tails that are copies of the head
    lost = 3 << pool.h.order if RESTORED_AS_HEADS in machine.target.release.faults else 0
    kept = 1 + len(machine.vmemmap_tails)  # the table of the PMD that stays split, the page of tails
    assert machine.frames.free_frames == before - kept - lost


@FETCHED
def test_a_node_may_be_named(real_kernel: Kernel) -> None:
    _, pool = pool_of(real_kernel)
    assert pool.set_max_huge_pages(2, 0) == 0
    assert pool.h.counters()["nr, node 0"] == 2


@FETCHED
def test_surplus_is_limited_by_overcommit_and_its_freeing_is_work_that_runs_after_the_call(
    real_kernel: Kernel,
) -> None:
    machine, pool = pool_of(real_kernel)
    assert pool.alloc_surplus() is None
    assert pool.set_overcommit(1) == 0
    folio = pool.alloc_surplus()
    assert folio is not None
    assert pool.alloc_surplus() is None
    assert pool.h.counters()["surplus"] == 1
    assert pool.hvo.folio_optimized(folio)
    pool.put(folio)
    assert machine.key == pool.h.counters()["nr"] == 0
    assert not pool.hvo.kernel_cpu.run_queued()


@FETCHED
def test_a_folio_in_use_is_not_dissolved_a_free_one_is(real_kernel: Kernel) -> None:
    _, pool = pool_of(real_kernel)
    assert pool.dequeue() is None
    pool.set_max_huge_pages(1)
    folio = pool.dequeue()
    assert folio is not None
    assert pool.dissolve(folio) == -errno.EBUSY
    pool.put(folio)
    assert pool.dissolve(folio) == 0
    assert pool.h.counters()["nr"] == 0
