# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariants of batches: termination, flushes."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.hvo import Hvo, VmemmapPageAllocator
from hvolab.hvo.walk import SYNCHRONIZE_RCU
from hvolab.invariants import EndlessLoopError, Monitor
from hvolab.machine.frames.failure import FailFrom
from hvolab.release import KernelRelease
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from hvolab.trace import Batch, RangeFlushed
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of, watched

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


def test_a_folio_that_is_restored_for_ever_breaks_rule_10() -> None:
    lab = pools_of(V6_1)
    grown(lab)
    folio, h = next(lab.pools[0].free_folios()), lab.pools[0].h
    lab.frames.failure = FailFrom(1)

    def retry() -> None:
        while lab.hvo.restore_folio(h, folio):
            pass

    monitor = Monitor(lab.machine)
    with monitor.watch(), pytest.raises(EndlessLoopError, match="65 restores of a folio without progress"):
        retry()
    assert broken(monitor.findings) == {"termination"}


# flushes


class ForgetfulFlags(Hvo):
    """Waits for a grace period for each folio of a batch."""

    def _optimize(self, h: Any, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        return super()._optimize(h, folio, pages, flags | 4)


@pytest.mark.parametrize("release", [V6_12, V6_12_117, V7_2], ids=str)
def test_a_grace_period_for_each_folio_breaks_rule_11(release: KernelRelease) -> None:
    lab = pools_of(release)
    lab.pools[0].hvo = ForgetfulFlags(lab.machine)
    assert "flushes" in broken(watched(lab, lambda: grown(lab)))


@pytest.mark.parametrize(("enabled", "expected"), [(True, {"flushes"}), (False, set())])
def test_a_batch_that_begins_while_hvo_is_off_may_flush_ranges(*, enabled: bool, expected: set[str]) -> None:
    lab = pools(SMALL)
    lab.machine.optimize_enabled = enabled

    def split_late() -> None:
        lab.machine.trace.emit(Batch("optimize.begin"))
        lab.machine.optimize_enabled = True
        lab.machine.trace.emit(RangeFlushed(0, 1))
        lab.machine.trace.emit(Batch("optimize.end"))

    assert broken(watched(lab, split_late)) == expected


@pytest.mark.parametrize("release", [V6_1, V7_2], ids=str)
def test_a_grace_period_where_the_release_has_none_breaks_rule_11(release: KernelRelease) -> None:
    lab = pools_of(release)
    grown(lab)
    folio, h = next(lab.pools[0].free_folios()), lab.pools[0].h
    assert not watched(lab, lambda: lab.hvo.restore_folio(h, folio))
    lab.hvo._rcu = SYNCHRONIZE_RCU
    (finding,) = watched(lab, lambda: lab.hvo.optimize_folio(h, folio))
    assert (finding.rule, finding.what) == ("flushes", "grace periods in one folio: 1, at most 0 allowed")


@pytest.mark.parametrize("release", [V6_1, V6_12, V6_12_117, V7_2], ids=str)
def test_a_full_flush_of_a_folio_by_itself_breaks_rule_11(
    monkeypatch: pytest.MonkeyPatch, release: KernelRelease
) -> None:
    lab = pools_of(release)
    grown(lab)
    folio, h = next(lab.pools[0].free_folios()), lab.pools[0].h
    monkeypatch.setattr(lab.machine, "flush_tlb_kernel_range", lambda *_: lab.machine.flush_tlb_all())
    assert "flushes" in broken(watched(lab, lambda: lab.hvo.restore_folio(h, folio)))


def test_a_full_flush_for_each_folio_breaks_rule_11(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    split = lab.hvo.split_folio

    def eager(h: Any, folio: int) -> int:
        lab.machine.flush_tlb_all()
        return split(h, folio)

    monkeypatch.setattr(lab.hvo, "split_folio", eager)
    assert "flushes" in broken(watched(lab, lambda: grown(lab)))


def test_pmds_that_are_split_one_by_one_break_rule_11(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(Hvo, "split_folio", lambda *_: 0)
    findings = watched(lab, lambda: grown(lab, 2))
    assert [(finding.rule, finding.what) for finding in findings] == [
        ("flushes", "flushes of ranges in one batch: 1, although no allocation has failed in it")
    ]


def test_a_grace_period_without_a_folio_that_changes_is_found() -> None:
    lab = pools(SMALL)
    with Monitor(lab.machine).watch() as monitor:
        lab.machine.synchronize_rcu()
    (finding,) = monitor.findings
    assert (finding.rule, "no folio is being" in finding.what) == ("flushes", True)
