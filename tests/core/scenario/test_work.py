# SPDX-License-Identifier: GPL-2.0-only
"""Operations of HVO are counted from the trace."""

from __future__ import annotations

import numpy as np

from hvolab.machine import MachineSpec
from hvolab.release.gfp import GFP_KERNEL
from hvolab.scenario.work import FailedCall, OperationCounts, WorkCounter
from hvolab.trace import AllFlushed, GracePeriod, PagesAllocated, PagesFreed, Warned
from tests.machines import MIB, pools

SOME = np.array([1, 2, 3], dtype=np.int64)


def test_counts_begin_again_once_taken() -> None:
    lab = pools(MachineSpec(memory=256 * MIB))
    counter = WorkCounter(lab.machine)
    with lab.machine.trace.listen(counter):
        lab.pools[0].set_max_huge_pages(1)
    counts = counter.take()
    assert (counts.entries_stored, counts.page_tables_allocated, counts.frames_freed) == (8, 1, 8)
    assert counter.take() == OperationCounts()
    assert counter.failed() is None


def test_single_frames_flushes_and_grace_periods_are_counted() -> None:
    counter = WorkCounter(pools(MachineSpec(memory=256 * MIB)).machine)
    for event in (
        PagesAllocated(GFP_KERNEL, 0, None, SOME, failed=False),
        PagesAllocated(GFP_KERNEL, 9, None, SOME, failed=False),
        PagesFreed(SOME[:1], 0, "free_pages"),
        AllFlushed(),
        GracePeriod(),
    ):
        counter(event)
    assert counter.take() == OperationCounts(frames_allocated=3, frames_freed=1, full_flushes=1, grace_periods=1)


def test_the_call_that_fails_is_recorded_with_its_phase() -> None:
    lab = pools(MachineSpec(memory=256 * MIB))
    counter = WorkCounter(lab.machine, fails=2)
    lab.frames.failure = counter.policy
    counter.phase = "fill"
    with lab.machine.trace.listen(counter):
        assert lab.machine.alloc_pages(GFP_KERNEL, 0) is not None
        assert lab.machine.alloc_pages(GFP_KERNEL, 0) is None
        counter.phase = "drain"
        assert lab.machine.alloc_pages(GFP_KERNEL, 0) is not None
    assert counter.failed() == FailedCall(2, happened=True, calls=3, what="order 0, GFP_KERNEL", phase="fill")
    assert WorkCounter(lab.machine, fails=9).failed() == FailedCall(9, happened=False, calls=0)


def test_warnings_are_counted_by_text() -> None:
    counter = WorkCounter(pools(MachineSpec(memory=256 * MIB)).machine)
    for text in ("a", "b", "a"):
        counter(Warned(text, 0))
    assert counter.warnings == {"a": 2, "b": 1}
