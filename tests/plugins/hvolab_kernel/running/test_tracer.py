# SPDX-License-Identifier: GPL-2.0-only
"""Events for folios and copied pages while a kernel's code runs."""

from __future__ import annotations

import pytest

from hvolab.trace import Event, FolioStep, PageCopied
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, FOLIOS, huge_pages, machine_for, optimized

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

from hvolab.hugetlb import Pool
from hvolab.hvo import Hvo, VmemmapOptimizer
from hvolab.machine import FrameAllocator
from hvolab.machine.frames.failure import FailCalls
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel


@FOLIOS
def test_each_folio_begins_and_ends_and_its_head_page_is_copied(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = optimized(real_kernel)
    events: list[Event] = []
    with machine.trace.listen(events.append):
        assert hvo.restore_folio(pool.h, folio) == 0
        hvo.optimize_folio(pool.h, folio)
        hvo.optimize_folio(pool.h, folio)  # nothing to do: no event
    steps = [(one.step, one.folio, one.result) for one in events if isinstance(one, FolioStep)]
    assert steps == [
        *(("restore.begin", folio, 0), ("restore.end", folio, 0)),
        *(("optimize.begin", folio, 0), ("optimize.end", folio, 0)),
    ]
    copies = [one.from_va for one in events if isinstance(one, PageCopied)]
    assert len(copies) == 8  # seven tail pages, then the head page
    assert copies[-1] == folio


@FETCHED
def test_a_restore_that_fails_ends_with_an_error(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = optimized(real_kernel)
    assert isinstance(machine.frames, FrameAllocator)
    machine.frames.failure = FailCalls(frozenset({1}))
    events: list[Event] = []
    with machine.trace.listen(events.append):
        assert hvo.restore_folio(pool.h, folio) == -12
    assert [one.result for one in events if isinstance(one, FolioStep)] == [0, -12]


@FETCHED
def test_the_folios_of_a_pool_begin_and_end_as_those_of_the_model(real_kernel: Kernel) -> None:
    steps = []
    for own in (False, True):
        machine = machine_for(real_kernel)
        hvo: VmemmapOptimizer = KernelHvo(machine, real_kernel) if own else Hvo(machine)
        pool = Pool(machine, huge_pages(machine), hvo)
        events: list[Event] = []
        with machine.trace.listen(events.append):
            pool.set_max_huge_pages(3)
            pool.set_max_huge_pages(0)
        steps.append([(one.step, one.folio, one.result) for one in events if isinstance(one, FolioStep)])
    assert steps[0] == steps[1]
    assert len(steps[0]) == 12
