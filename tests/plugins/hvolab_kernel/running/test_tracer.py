# SPDX-License-Identifier: GPL-2.0-only
"""Events for folios and copied pages while a kernel's code runs."""

from __future__ import annotations

import pytest

from hvolab.trace import Event, FolioStep, PageCopied
from tests.plugins.hvolab_kernel.kernel_machines import DEBIANS, optimized

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

from hvolab.machine import FrameAllocator
from hvolab.machine.frames.failure import FailCalls
from hvolab_vmlinux.kernel import Kernel


@DEBIANS
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


@DEBIANS
def test_a_restore_that_fails_ends_with_an_error(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = optimized(real_kernel)
    assert isinstance(machine.frames, FrameAllocator)
    machine.frames.failure = FailCalls(frozenset({1}))
    events: list[Event] = []
    with machine.trace.listen(events.append):
        assert hvo.restore_folio(pool.h, folio) == -12
    assert [one.result for one in events if isinstance(one, FolioStep)] == [0, -12]
