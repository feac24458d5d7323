# SPDX-License-Identifier: GPL-2.0-only
"""The pool: grows, shrinks, dissolves, hands out; and what is left when memory fails at every point."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import (
    Pool,
    alloc_bootmem_huge_page,
    demote_pool_huge_page,
    memory_failure,
    reservations,
)
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom, NeverFail
from hvolab.plugin import registry
from hvolab.release.gfp import Gfp
from hvolab.trace import AllFlushed, Event, FolioPrepared, PagesAllocated
from tests.machines import GIB, MIB, Pools, pools, x86_64

_SMALL = MachineSpec(memory=512 * MIB)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)


def optimized(pool: Pool) -> int:
    bit = pool.machine.struct_pages.layout.hpg_vmemmap_optimized
    return sum(pool.folio.flag(folio, bit) for folio in pool.live)


def test_growing_optimizes_every_folio_and_shrinking_gives_everything_back() -> None:
    lab = pools(_SMALL)
    before = lab.frames.free_frames
    pool = lab.pools[0]
    pool.set_max_huge_pages(8)
    assert (pool.h.nr, pool.h.free, pool.h.surplus, pool.h.max_huge_pages) == (8, 8, 0, 8)
    assert optimized(pool) == lab.machine.key == 8
    assert (lab.machine.counters.nr_memmap_pages, lab.machine.counters.nr_memmap_boot_pages) == (8, 2048 - 64)
    assert not lab.findings()
    pool.set_max_huge_pages(0)
    assert pool.h.nr == lab.machine.key == 0
    assert lab.machine.counters.nr_memmap_pages == 64
    tables = 1  # the PMD stays split
    assert lab.frames.free_frames == before - tables
    assert not lab.findings()


def test_with_the_sysctl_off_nothing_is_optimized_and_optimized_folios_stay_so() -> None:
    lab = pools(_SMALL)
    lab.pools[0].set_max_huge_pages(2)
    lab.machine.optimize_enabled = False
    lab.pools[0].set_max_huge_pages(4)
    assert optimized(lab.pools[0]) == 2
    assert not lab.findings()
    lab.pools[0].set_max_huge_pages(0)
    assert lab.machine.key == 0
    assert not lab.findings()


def test_nodes_take_turns() -> None:
    lab = pools(MachineSpec(memory=GIB, nodes=2))
    lab.pools[0].set_max_huge_pages(5)
    assert lab.pools[0].h.nr_node == [3, 2]
    assert not lab.findings()
    lab.pools[0].set_max_huge_pages(1)
    assert sorted(lab.pools[0].h.nr_node) == [0, 1]
    assert not lab.findings()


def test_a_node_has_a_request_of_its_own() -> None:
    lab = pools(MachineSpec(memory=GIB, nodes=2))
    pool = lab.pools[0]
    pool.set_max_huge_pages(4)
    pool.set_max_huge_pages(5, node=1)
    assert (pool.h.nr_node, pool.h.max_huge_pages) == ([2, 5], 7)
    pool.set_max_huge_pages(0, node=0)
    assert (pool.h.nr_node, pool.h.free_node, pool.h.max_huge_pages) == ([0, 5], [0, 5], 5)
    pool.set_max_huge_pages(10_000, node=0)  # as far as its memory goes, and no further
    assert pool.h.nr_node[0] < 256
    assert pool.h.nr_node[1] == 5
    assert not lab.findings()
    with pytest.raises(UsageError, match="node 2 of 2"):
        pool.set_max_huge_pages(1, node=2)


def test_a_movable_only_node_still_optimizes_and_restores() -> None:
    """Vmemmap pages come from another node: the bug of v6.6 (__GFP_THISNODE) left such pools stuck."""
    lab = pools(MachineSpec(memory=GIB, nodes=2, movable_nodes=frozenset({1})))
    lab.pools[0].set_max_huge_pages(4)
    assert lab.pools[0].h.nr_node == [2, 2]
    assert optimized(lab.pools[0]) == 4
    lab.pools[0].set_max_huge_pages(0)
    assert lab.pools[0].h.nr == 0
    assert not lab.findings()


@pytest.mark.slow
@pytest.mark.parametrize("backing", list(VmemmapBacking))
def test_every_backing_of_the_vmemmap_survives_a_cycle(backing: VmemmapBacking) -> None:
    lab = pools(MachineSpec(memory=GIB, vmemmap=backing))
    monitor = Monitor(lab.machine)
    with monitor.watch():
        for count in (64, 10, 30, 0):
            lab.pools[0].set_max_huge_pages(count)
            assert not lab.findings()
    assert not monitor.findings


def test_self_hosted_folios_stay_as_they_are() -> None:
    lab = pools(MachineSpec(memory=GIB, vmemmap=VmemmapBacking.SELF_HOSTED))
    lab.pools[0].set_max_huge_pages(400)
    in_first_block = sum(lab.machine.struct_pages.pfn(folio) < 0x8000 for folio in lab.pools[0].live)
    assert 0 < optimized(lab.pools[0]) == in_first_block < lab.pools[0].h.nr
    assert not lab.findings()


def test_a_folio_handed_out_stays_optimized_and_comes_back() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(2)
    folio = pool.dequeue()
    assert folio is not None
    assert (pool.h.free, pool.folio.refcount(folio)) == (1, 1)
    assert pool.dissolve(folio) == -errno.EBUSY
    pool.set_max_huge_pages(0)
    assert (pool.h.nr, pool.h.surplus) == (1, 1)  # in use: becomes surplus
    pool.put(folio)
    assert pool.h.nr == pool.h.surplus == 0
    assert not lab.findings()


def test_a_surplus_folio_leaves_when_it_is_put() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    folio = pool.alloc_surplus()
    assert folio is not None
    assert (pool.h.nr, pool.h.surplus, lab.machine.key) == (1, 1, 1)
    pool.put(folio)
    assert (pool.h.nr, pool.h.surplus, lab.machine.key) == (0, 0, 0)
    assert not lab.findings()


def test_a_growing_pool_does_not_retry_hard_on_a_node_until_it_has_memory_again() -> None:
    lab = pools(MachineSpec(memory=GIB, nodes=2))
    lab.frames.failure = FailCalls(frozenset({1, 3}))
    events: list[Event] = []
    with lab.machine.trace.listen(events.append):
        lab.pools[0].set_max_huge_pages(5)
    allocated = [one for one in events if isinstance(one, PagesAllocated) and one.order == lab.pools[0].h.order]
    hard = [(one.node, bool(one.gfp & Gfp.RETRY_MAYFAIL), one.failed) for one in allocated]
    assert hard == [
        *((0, True, True), (1, True, False)),
        *((0, False, True), (1, True, False)),
        *((0, False, False), (1, True, False), (0, True, False)),
    ]


@pytest.mark.parametrize(("count", "flushes"), [(1, 2), (0, 0)])
def test_a_pool_that_gets_no_folio_flushes_and_one_that_needs_none_does_not(count: int, flushes: int) -> None:
    lab = pools(_SMALL)
    lab.frames.failure = FailFrom(1)
    events: list[Event] = []
    with lab.machine.trace.listen(events.append):
        lab.pools[0].set_max_huge_pages(count)
    assert sum(isinstance(one, AllFlushed) for one in events) == flushes
    assert lab.pools[0].h.nr == 0


def test_dissolving_gives_a_folio_back() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(2)
    folio = next(pool.free_folios())
    assert pool.dissolve(folio) == 0
    assert (pool.h.nr, pool.h.max_huge_pages) == (1, 1)
    assert pool.dissolve(folio) == 0  # no hugetlb folio any more
    assert not lab.findings()


def test_dissolving_without_memory_keeps_the_folio() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(2)
    lab.frames.failure = FailFrom(1)
    assert pool.dissolve(next(pool.free_folios())) == -errno.ENOMEM
    assert (pool.h.nr, pool.h.free, pool.h.surplus, pool.h.max_huge_pages) == (2, 2, 0, 2)
    assert not lab.findings()


def test_a_pool_that_cannot_restore_keeps_its_folios_as_surplus_and_ends() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(6)
    lab.frames.failure = FailFrom(1)
    pool.set_max_huge_pages(0)
    assert (pool.h.nr, pool.h.surplus, pool.h.persistent, pool.h.free) == (6, 6, 0, 6)
    assert not lab.findings()
    lab.frames.failure = NeverFail()
    pool.set_max_huge_pages(6)  # surplus becomes persistent again
    assert pool.h.surplus == 0
    pool.set_max_huge_pages(0)
    assert pool.h.nr == 0
    assert not lab.findings()


def _grow(lab: Pools) -> None:
    lab.pools[0].set_max_huge_pages(3)


def _shrink(lab: Pools) -> None:
    lab.pools[0].set_max_huge_pages(0)


def _dissolve(lab: Pools) -> None:
    for folio in list(lab.pools[0].free_folios()):
        lab.pools[0].dissolve(folio)


def _surplus(lab: Pools) -> None:
    folio = lab.pools[0].alloc_surplus()
    if folio is not None:
        lab.pools[0].put(folio)


@pytest.mark.slow
@pytest.mark.parametrize("backing", [VmemmapBacking.BOOT, VmemmapBacking.BUDDY])
@pytest.mark.parametrize("act", [_grow, _shrink, _dissolve, _surplus])
@pytest.mark.parametrize("from_then_on", [False, True])
def test_every_allocation_failed_in_turn_breaks_nothing(
    backing: VmemmapBacking,
    act: Callable[[Pools], None],
    from_then_on: bool,  # noqa: FBT001
) -> None:
    spec = MachineSpec(memory=512 * MIB, vmemmap=backing)

    def run(failure: FailCalls | FailFrom) -> int:
        lab = pools(spec)
        if act is not _grow:
            lab.pools[0].set_max_huge_pages(3)
        lab.frames.failure = failure
        monitor = Monitor(lab.machine)
        with monitor.watch():
            act(lab)
        assert not monitor.findings, failure
        assert not lab.findings(), failure
        return failure.calls

    calls = run(FailCalls(frozenset()))
    assert calls >= 3
    for call in range(1, calls + 1):
        run(FailFrom(call) if from_then_on else FailCalls(frozenset({call})))


def test_wrong_requests_are_refused_with_what_is_right() -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    pool = lab.pools[0]
    with pytest.raises(UsageError, match=r"a pool of -1 huge pages.*request 0 or more"):
        pool.set_max_huge_pages(-1)
    with pytest.raises(UsageError, match=r"node 2 of 2.*choose 0 to 1"):
        pool.set_max_huge_pages(1, node=2)
    with pytest.raises(UsageError, match=r"only gigantic folios.*grow the pool instead"):
        alloc_bootmem_huge_page(pool)
    with pytest.raises(UsageError, match=r"order 18 cannot be demoted to order 18.*hugetlb_init_hstates.*next smaller"):
        demote_pool_huge_page(lab.pools[1], lab.pools[1], 1)
    with pytest.raises(UsageError, match=r"is in no folio of order 9.*choose a frame of a folio"):
        memory_failure(pool, lab.machine.memory.first_pfn)
    with pytest.raises(UsageError, match=r"-1 reservations.*use 0 or more"):
        reservations.unreserve(pool, -1)
    with pytest.raises(UsageError, match=r"1 reservations of 0 are released.*release those that were made"):
        reservations.unreserve(pool, 1)


@pytest.mark.parametrize(("release", "more"), [("6.1", 1), ("6.12", 0)])
def test_a_request_of_a_node_counts_surplus_of_others_where_the_release_does(release: str, more: int) -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2), x86_64(release=release))
    pool = lab.pools[0]
    pool.set_max_huge_pages(2)
    assert pool.alloc_surplus(0) is not None
    assert (pool.h.nr_node, pool.h.surplus_node) == ([2, 1], [1, 0])
    pool.set_max_huge_pages(2, node=1)
    assert (pool.h.nr_node, pool.h.surplus_node) == ([2, 2 + more], [1, 0])


def test_an_odd_number_of_surplus_folios_becomes_persistent_one_by_one() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(3)
    lab.frames.failure = FailFrom(1)
    pool.set_max_huge_pages(0)
    assert (pool.h.nr, pool.h.free, pool.h.surplus) == (3, 3, 3)
    lab.frames.failure = NeverFail()
    pool.set_max_huge_pages(3)
    assert (pool.h.nr, pool.h.free, pool.h.surplus) == (3, 3, 0)


def test_what_leaves_while_a_pool_grows_is_allocated_too() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    left = list(pool.live)

    def listen(event: Event) -> None:
        if isinstance(event, PagesAllocated) and event.order == pool.h.order and left:
            assert pool.dissolve(left.pop()) == 0

    with lab.machine.trace.listen(listen):
        pool.set_max_huge_pages(3)
    assert (pool.h.nr, pool.h.free, len(pool.live)) == (3, 3, 3)
    assert not lab.findings()


def test_a_new_folio_has_no_flags_of_what_used_its_memory_before() -> None:
    lab = pools(_SMALL)
    pool, layout = lab.pools[0], lab.machine.struct_pages.layout
    pool.set_max_huge_pages(1)
    (folio,) = pool.live
    pool.set_max_huge_pages(0)
    pool.folio.set_private(folio, (1 << 64) - 1)
    pool.set_max_huge_pages(1)
    assert pool.live == {folio}
    assert pool.folio.private(folio) == 1 << layout.hpg_freed | 1 << layout.hpg_vmemmap_optimized


@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_each_new_folio_is_an_event_whether_it_is_of_the_pool_or_surplus(release: str) -> None:
    lab = pools(_SMALL, x86_64(release=release))
    pool = lab.pools[0]
    prepared: list[Event] = []
    with lab.machine.trace.listen(prepared.append):
        pool.set_max_huge_pages(2)
        surplus = pool.alloc_surplus()
    events = [event for event in prepared if isinstance(event, FolioPrepared)]
    assert {event.folio for event in events} == pool.live
    assert {event.order for event in events} == {pool.h.order}
    assert events[-1].folio == surplus


def test_temporary_folios_are_counted_once_freed_and_are_not_gigantic() -> None:
    lab = pools(_SMALL, registry().architecture("arm64").select("4K-48bit"))
    pool, large = (next(pool for pool in lab.pools if pool.h.size == size) for size in (2 * MIB, 32 * MIB))
    assert large.h.gigantic
    assert large.alloc_temporary() is None
    for count in (1, 2):
        folio = pool.alloc_temporary()
        assert folio is not None
        pool.put(folio)
        assert (pool.temporaries, pool.h.nr) == (count, 0)
    assert not lab.findings()


def test_a_surplus_folio_that_cannot_be_restored_stays_surplus() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    folio = pool.alloc_surplus()
    assert folio is not None
    lab.frames.failure = FailFrom(1)
    pool.put(folio)
    assert (pool.h.nr, pool.h.free, pool.h.surplus) == (1, 1, 1)
    assert not lab.findings()


def test_a_folio_that_is_added_again_has_the_flags_of_a_free_one_alone() -> None:
    lab = pools(_SMALL)
    pool, layout = lab.pools[0], lab.machine.struct_pages.layout
    pool.set_max_huge_pages(1)
    (folio,) = pool.live
    pool.folio.set_flag(folio, layout.hpg_migratable, value=True)
    lab.frames.failure = FailFrom(1)
    assert pool.dissolve(folio) == -errno.ENOMEM
    assert pool.folio.private(folio) == 1 << layout.hpg_freed | 1 << layout.hpg_vmemmap_optimized
