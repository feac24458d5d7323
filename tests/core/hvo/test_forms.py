"""The form of 6.12.117: no folio is optimised without a new head page, and restored tails are copies of it."""

from __future__ import annotations

import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import V6_12_117, Hvo
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine
from hvolab.machine.failure import FailCalls
from hvolab.machine.gfp import GFP_KERNEL
from hvolab.trace import PagesAllocated, PagesFreed, RangeFlushed
from hvolab_x86_64.description import X86_64


def built(count: int, *, size: int = 2 << 20, memory: int = 512 << 20) -> tuple[Machine, Pool]:
    """A machine with a pool of folios that are not optimised yet."""
    machine = build_machine(X86_64.select(), MachineSpec(memory=memory))
    h = next(one for one in hstates(machine) if one.size == size)
    pool = Pool(machine, h, Hvo(machine, form=V6_12_117))
    machine.optimize_enabled = False
    pool.set_max_huge_pages(count)
    machine.optimize_enabled = True
    return machine, pool


def allocator(machine: Machine) -> FrameAllocator:
    assert isinstance(machine.frames, FrameAllocator)
    return machine.frames


def test_without_a_new_head_page_a_folio_stays_as_it_is() -> None:
    machine, pool = built(1)
    (folio,) = pool.live
    allocator(machine).failure = FailCalls(frozenset({1}))
    before = machine.tables.frames(folio, 8).tolist()
    with machine.trace.record() as events:
        pool.hvo.optimize_folio(pool.h, folio)
    assert machine.tables.frames(folio, 8).tolist() == before
    assert machine.key == 0
    (asked,) = [event for event in events if isinstance(event, PagesAllocated)]
    assert (asked.gfp, asked.failed) == (GFP_KERNEL, True)
    assert not [event for event in events if isinstance(event, PagesFreed)]


def test_restored_tails_are_copies_of_the_heads_page_and_the_flush_begins_behind_that() -> None:
    machine, pool = built(1)
    (folio,) = pool.live
    pool.hvo.optimize_folio(pool.h, folio)
    head = machine.cpus[0].load(folio, 4096)
    with machine.trace.record(single_steps=True) as events:
        assert pool.hvo.restore_folio(pool.h, folio) == 0
    for page in range(1, 8):
        assert machine.cpus[0].load(folio + 4096 * page, 4096) == head
    (flushed,) = [event for event in events if isinstance(event, RangeFlushed)]
    assert (flushed.start, flushed.end) == (folio + 4096, folio + 8 * 4096)


@pytest.mark.parametrize("failing", range(2, 10))
def test_a_rollback_gives_every_page_a_frame_of_its_own_the_head_too(failing: int) -> None:
    machine, pool = built(1, size=1 << 30, memory=2 << 30)
    (folio,) = pool.live
    before = set(machine.tables.frames(folio, 4096).tolist())
    content = machine.cpus[0].load(folio, 4096)
    allocator(machine).failure = FailCalls(frozenset({failing}))
    pool.hvo.optimize_folio(pool.h, folio)
    after = machine.tables.frames(folio, 4096).tolist()
    assert len(set(after)) == 4096
    assert set(after) <= before
    assert machine.cpus[0].load(folio, 4096) == content
    assert machine.key == 0
