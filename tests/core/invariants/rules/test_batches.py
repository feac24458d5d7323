# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariants of batches: termination, flushes."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.hvo import Hvo, VmemmapPageAllocator
from hvolab.invariants import EndlessLoopError, Monitor
from hvolab.machine.frames.failure import FailFrom
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched

# termination


def test_an_error_path_that_keeps_its_list_breaks_rule_10(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    monkeypatch.setattr(lab.pools[0], "_bulk_restore_error", lambda *_: None)
    lab.frames.failure = FailFrom(1)
    monitor = Monitor(lab.machine)
    with monitor.watch(), pytest.raises(EndlessLoopError):
        lab.pools[0].set_max_huge_pages(0)
    assert broken(monitor.findings) == {"termination"}


# flushes


class ForgetfulFlags(Hvo):
    """Waits for a grace period for each folio of a batch."""

    def _optimize(self, h: Any, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        return super()._optimize(h, folio, pages, flags | 4)


def test_a_grace_period_for_each_folio_breaks_rule_11() -> None:
    lab = pools(SMALL)
    lab.pools[0].hvo = ForgetfulFlags(lab.machine)
    assert "flushes" in broken(watched(lab, lambda: grown(lab)))


def test_a_full_flush_for_each_folio_breaks_rule_11(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    split = lab.hvo.split_folio

    def eager(h: Any, folio: int) -> int:
        lab.machine.flush_tlb_all()
        return split(h, folio)

    monkeypatch.setattr(lab.hvo, "split_folio", eager)
    assert "flushes" in broken(watched(lab, lambda: grown(lab)))
