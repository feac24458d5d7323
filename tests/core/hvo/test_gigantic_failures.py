# SPDX-License-Identifier: GPL-2.0-only
"""1 GiB folios: every single allocation of an optimize and of a restore is failed in turn."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, NeverFail
from tests.machines import GIB, Pools, pools


def gigantic(backing: VmemmapBacking) -> tuple[Pools, int]:
    """A machine with one 1 GiB folio that is not optimized."""
    lab = pools(MachineSpec(memory=3 * GIB, vmemmap=backing, deferred_struct_pages=True))
    lab.machine.optimize_enabled = False
    lab.pools[1].set_max_huge_pages(1)
    lab.machine.optimize_enabled = True
    return lab, next(lab.pools[1].free_folios())


@pytest.mark.slow
@pytest.mark.parametrize("backing", [VmemmapBacking.BOOT, VmemmapBacking.BUDDY])
def test_an_optimize_fails_or_succeeds_whole_whichever_allocation_fails(backing: VmemmapBacking) -> None:
    for call in range(1, 11):
        lab, folio = gigantic(backing)
        failure = FailCalls(frozenset({call}))
        lab.frames.failure = failure
        monitor = Monitor(lab.machine)
        with monitor.watch():
            lab.hvo.optimize_folio(lab.pools[1].h, folio)
        lab.frames.failure = NeverFail()
        # the head's page can be done without, a table of the eight cannot
        assert lab.machine.key == (1 if call in {1, 10} else 0)
        assert failure.calls == {1: 9, 10: 9}.get(call, call)
        assert not monitor.findings
        assert not lab.findings()


@pytest.mark.slow
@pytest.mark.parametrize("backing", [VmemmapBacking.BOOT, VmemmapBacking.BUDDY])
def test_a_restore_that_gets_one_page_too_few_changes_nothing(backing: VmemmapBacking) -> None:
    lab, folio = gigantic(backing)
    h = lab.pools[1].h
    lab.hvo.optimize_folio(h, folio)
    frames, counters = lab.frames.allocated_frames, (lab.machine.counters.total, lab.machine.key)
    tables = [run.raws.copy() for run in lab.machine.tables.runs(folio, folio + (16 << 20))]
    for call in range(1, 4096):
        lab.frames.failure = FailCalls(frozenset({call}))
        assert lab.hvo.restore_folio(h, folio) == -errno.ENOMEM
        assert lab.frames.allocated_frames == frames
        assert (lab.machine.counters.total, lab.machine.key) == counters
        now = lab.machine.tables.runs(folio, folio + (16 << 20))
        assert all(np.array_equal(run.raws, before) for run, before in zip(now, tables, strict=True))
    assert not lab.findings()
    lab.frames.failure = NeverFail()
    assert lab.hvo.restore_folio(h, folio) == 0
    assert not lab.findings()
