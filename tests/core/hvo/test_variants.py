# SPDX-License-Identifier: GPL-2.0-only
"""What variants of HVO's code do otherwise than v6.12, as far as it can be seen from outside; traces hold the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine
from hvolab.machine.frames.failure import FailCalls
from hvolab.release import DEFAULT, KernelRelease, StructPageLayout
from hvolab.release.gfp import GFP_KERNEL, GFP_VMEMMAP_TAIL
from hvolab.release.releases import V6_1, V6_12_117, V7_2
from hvolab.trace import PagesAllocated, PagesFreed, RangeFlushed
from hvolab_x86_64.description import X86_64


def built(
    count: int,
    *,
    size: int = 2 << 20,
    memory: int = 512 << 20,
    release: KernelRelease = V6_12_117,
    layout: StructPageLayout = DEFAULT.struct_page,
) -> tuple[Machine, Pool]:
    """A machine with a pool of folios that are not optimized yet."""
    machine = build_machine(X86_64.select(), MachineSpec(memory=memory, layout=layout))
    h = next(one for one in hstates(machine) if one.size == size)
    pool = Pool(machine, h, Hvo(machine, release=release))
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
    (call,) = [event for event in events if isinstance(event, PagesAllocated)]
    assert (call.gfp, call.failed) == (GFP_KERNEL, True)
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


#: How v7.2 links tails: the mask that leads from a tail's own VA to its head.
MASKED = replace(DEFAULT.struct_page, masks_compound=True)


def test_in_7_2_tails_of_all_folios_share_one_page_which_is_kept_and_says_what_tails_say() -> None:
    machine, pool = built(3, release=V7_2, layout=MASKED)
    tails = [machine.cpus[0].load(folio + 4096, 4096) for folio in pool.live]
    with machine.trace.record() as events:
        for folio in pool.live:
            pool.hvo.optimize_folio(pool.h, folio)
    shared = {frame for folio in pool.live for frame in machine.tables.frames(folio, 8)[1:].tolist()}
    (tail,) = [event for event in events if isinstance(event, PagesAllocated) and event.gfp == GFP_VMEMMAP_TAIL]
    assert shared == set(tail.pfns.tolist()) == set(machine.vmemmap_tails.values())
    assert machine.key == machine.grace_periods == 0
    layout = machine.struct_pages.layout
    for folio, before in zip(pool.live, tails, strict=True):
        words = np.frombuffer(machine.cpus[0].load(folio + 4096, 4096), dtype="<u8").reshape(-1, 8)
        old = np.frombuffer(before, dtype="<u8").reshape(-1, 8)
        for offset in (layout.compound_head, layout.mapping, layout.page_type):
            assert (words[:, offset // 8] == old[:, offset // 8]).all()
        # the mask leads every tail to its own head
        at = np.uint64(folio + 4096) + np.arange(64, dtype=np.uint64) * np.uint64(64)
        assert (at & words[:, 1] & ~np.uint64(1) == folio).all()
    for folio in pool.live:
        assert pool.hvo.restore_folio(pool.h, folio) == 0
        own = set(machine.tables.frames(folio, 8).tolist())
        assert len(own - shared) == 8


def test_in_7_2_a_folio_stays_as_it_is_where_there_is_no_page_for_tails_and_the_next_asks_again() -> None:
    machine, pool = built(1, release=V7_2, layout=MASKED)
    (folio,) = pool.live
    allocator(machine).failure = FailCalls(frozenset({1}))
    before = machine.tables.frames(folio, 8).tolist()
    pool.hvo.optimize_folio(pool.h, folio)
    assert machine.tables.frames(folio, 8).tolist() == before
    assert not machine.vmemmap_tails
    pool.hvo.optimize_folio(pool.h, folio)
    assert set(machine.tables.frames(folio, 8)[1:].tolist()) == set(machine.vmemmap_tails.values())


def test_in_6_1_the_head_keeps_its_page_and_what_falls_free_is_freed_in_order() -> None:
    machine, pool = built(1, release=V6_1)
    (folio,) = pool.live
    before = machine.tables.frames(folio, 8).tolist()
    counters = machine.counters.total
    with machine.trace.record(single_steps=True) as events:
        pool.hvo.optimize_folio(pool.h, folio)
    assert machine.tables.frames(folio, 8).tolist() == before[:1] * 8
    assert [pfn for one in events if isinstance(one, PagesFreed) for pfn in one.pfns.tolist()] == before[1:]
    *_, flushed = [event for event in events if isinstance(event, RangeFlushed)]
    assert (flushed.start, flushed.end) == (folio + 4096, folio + 8 * 4096)
    assert (machine.key, machine.grace_periods, machine.counters.total) == (1, 0, counters)
