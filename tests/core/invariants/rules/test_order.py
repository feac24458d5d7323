# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that do things in the wrong order: without grace period, without barrier, with the flag too late or early."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.hvo import Hvo
from hvolab.invariants import Monitor
from hvolab.release import RELEASES, KernelRelease
from hvolab.release.faults import SKIPPED_GRACE_PERIOD
from hvolab.release.releases import V6_12, V6_12_117, V7_2
from hvolab.trace import Barrier, FolioStep
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of, watched


def shrunk(lab: Any) -> None:
    grown(lab)
    lab.pools[0].set_max_huge_pages(0)


@pytest.mark.parametrize("release", [release for release in RELEASES if release.anywhere], ids=str)
def test_a_grace_period_is_needed_where_the_release_waits(release: KernelRelease) -> None:
    lab = pools_of(release)
    lab.hvo._rcu = 0
    findings = watched(lab, lambda: shrunk(lab))
    if not release.variant.waits_for_rcu:
        assert broken(findings) == set()
        return
    findings = [finding for finding in findings if finding.rule == "grace_periods"]
    assert {finding.fault for finding in findings} == {""}
    assert broken(findings) == {"grace_periods"}
    assert "became read-only with no grace period since it was frozen" in findings[0].what
    assert "were mapped to pages of their own with no grace period" in findings[-1].what


def test_one_grace_period_after_the_freeze_serves_all_folios() -> None:
    lab = pools(SMALL)
    assert watched(lab, lambda: shrunk(lab)) == []


class WaitsFirst(Hvo):
    """Waits before the batch, as early as its folios allow."""

    def optimize_folios(self, h: Any, folio_list: int) -> None:
        rcu, self._rcu = self._rcu, 0
        self.machine.synchronize_rcu()
        super().optimize_folios(h, folio_list)
        self._rcu = rcu


def test_a_grace_period_before_the_batch_is_late_enough() -> None:
    lab = pools(SMALL)
    lab.pools[0].hvo = WaitsFirst(lab.machine)
    # it is not needed there, which is a finding of another rule
    assert {one.rule for one in watched(lab, lambda: grown(lab))} <= {"flushes"}


@pytest.mark.parametrize("release", [V6_12, V6_12_117, V7_2], ids=str)
def test_a_list_whose_first_folio_is_optimized_is_not_waited_for_which_is_a_known_fault(release: KernelRelease) -> None:
    lab = pools_of(release)
    grown(lab, 3)
    pool = lab.pools[0]
    head, (first, *others) = pool.h.freelists[0], pool.free_folios()
    for folio in others:
        assert lab.hvo.restore_folio(pool.h, folio) == 0
    findings = [one for one in watched(lab, lambda: lab.hvo.optimize_folios(pool.h, head)) if not one.declared]
    if not release.variant.waits_for_rcu:
        assert findings == []
        return
    assert [(one.rule, one.fault) for one in findings] == [("grace_periods", SKIPPED_GRACE_PERIOD)] * 2
    lab.hvo.restore_folio(pool.h, first)
    lab.hvo._rcu = 0  # what an engine leaves out is not that fault
    findings = watched(lab, lambda: lab.hvo.optimize_folio(pool.h, first))
    assert [(one.rule, one.fault) for one in findings] == [("grace_periods", "")]


def test_a_page_that_is_mapped_without_a_barrier_breaks_rule_17(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.machine.cpus[0], "barrier", lambda _: None)
    findings = watched(lab, lambda: shrunk(lab))
    assert broken(findings) == {"barriers"}
    # the table, and for each folio the head page and seven tails
    assert len(findings) == 1 + 3 * 8
    assert "folio PFN 0x" in findings[1].where


def test_an_engine_without_barriers_in_its_trace_is_not_held_to_them() -> None:
    lab = pools(SMALL)
    lab.machine.trace.absent.add(Barrier)
    assert Barrier not in Monitor(lab.machine)._handlers


class FlagTooEarly(Hvo):
    def _restore(self, h: Any, folio: int, flags: int) -> int:
        self._emit(FolioStep, "restore.begin", folio)
        self.machine.synchronize_rcu()
        self._set_optimized(folio, optimized=False)
        result = self.remap.alloc(folio, folio + self.sizes(h).size, flags)
        self._count_folio(-1)
        self._emit(FolioStep, "restore.end", folio, result)
        return result


def test_a_flag_that_is_cleared_before_the_tails_are_restored_breaks_rule_18() -> None:
    lab = pools(SMALL)
    grown(lab, 1)
    folio = next(lab.pools[0].free_folios())
    findings = watched(lab, lambda: FlagTooEarly(lab.machine).restore_folio(lab.pools[0].h, folio))
    assert [finding.rule for finding in findings] == ["flag_order"]
    assert "has no optimized flag when its tails are restored" in findings[0].what


def test_a_flag_that_is_never_set_breaks_rule_18(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.hvo, "_set_optimized", lambda *_, **__: None)
    findings = watched(lab, lambda: grown(lab, 1))
    assert findings[0].rule == "flag_order"
    assert "has no optimized flag when its head page is copied" in findings[0].what
