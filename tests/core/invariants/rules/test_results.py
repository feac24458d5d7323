# SPDX-License-Identifier: GPL-2.0-only
"""Mutants whose results do not follow from their allocations, and folios that nobody optimizes."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom
from hvolab.plugin import registry
from hvolab.release.releases import V6_1, V6_12, V7_2
from hvolab.trace import FolioStep
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of, watched
from tests.machines import MIB, Pools


@pytest.mark.parametrize("result", [-errno.ENOMEM, errno.ENOMEM])
def test_a_failure_without_a_reason_breaks_rule_22(monkeypatch: pytest.MonkeyPatch, result: int) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *_: result)
    findings = watched(lab, lambda: grown(lab, 1))
    assert "results" in broken(findings)
    whats = [finding.what for finding in findings if finding.rule == "results"]
    reason = "but no allocation has failed" if result < 0 else "which is not a negative errno"
    assert f"optimize ended with result {result}, {reason}" in whats


@pytest.mark.parametrize(("order", "expected"), [(6, set()), (9, {"results"})])
def test_a_size_of_one_page_of_vmemmap_may_fail(order: int, expected: set[str]) -> None:
    lab = pools(SMALL)
    folio = lab.machine.struct_pages.va(1 << order)
    FolioPages(lab.machine, lab.machine.cpus[0]).prep_compound(folio, order)

    def fail() -> None:
        lab.machine.trace.emit(FolioStep("optimize.begin", folio))
        lab.machine.trace.emit(FolioStep("optimize.end", folio, -errno.ENOMEM))

    assert broken(watched(lab, fail)) == expected


def test_a_restore_that_ignores_a_failed_allocation_breaks_rule_22(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab, 1)
    alloc = lab.hvo.remap.alloc

    def ignores(*arguments: Any) -> int:
        alloc(*arguments)
        return 0

    monkeypatch.setattr(lab.hvo.remap, "alloc", ignores)
    lab.frames.failure = FailFrom(1)
    folio, h = next(lab.pools[0].free_folios()), lab.pools[0].h
    findings = watched(lab, lambda: lab.hvo.restore_folio(h, folio))
    assert findings[0].what == "restore ended with result 0, but an allocation that it needs has failed"
    assert findings[0].where == "folio PFN 0x1000"


def test_a_flag_that_contradicts_the_result_breaks_rule_22(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.hvo, "_set_optimized", lambda *_, **__: None)
    findings = watched(lab, lambda: grown(lab, 1))
    assert "optimize ended with result 0, and the folio has no optimized flag" in [one.what for one in findings]


def test_a_folio_that_is_optimized_while_hvo_is_off_breaks_rule_22(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(MachineSpec(memory=512 * MIB, optimize_enabled=False))
    monkeypatch.setattr(lab.hvo, "should_optimize_folio", lambda *_: True)
    findings = watched(lab, lambda: grown(lab, 1))
    assert broken(findings) == {"results"}
    assert "while HVO is off" in findings[0].what


@pytest.mark.parametrize("release", [V6_12, V6_1, V7_2], ids=str)
def test_a_new_folio_that_is_not_optimized_breaks_rule_23(monkeypatch: pytest.MonkeyPatch, release: Any) -> None:
    monkeypatch.setattr(Hvo, "optimize_folio", lambda *_: None)
    monkeypatch.setattr(Hvo, "optimize_folios", lambda *_: None)
    lab = pools_of(release)
    findings = watched(lab, lambda: grown(lab, 1))
    assert [(one.rule, one.what) for one in findings] == [
        ("prepared", "a pool adds a folio that could be optimized and is not")
    ]
    assert findings[0].where == "folio PFN 0x1000, order 9"
    assert [one.rule for one in watched(lab, lab.pools[0].alloc_surplus)] == ["prepared"]


@pytest.mark.parametrize("release", [V6_12, V6_1, V7_2], ids=str)
def test_a_folio_that_cannot_be_optimized_breaks_neither(release: Any) -> None:
    lab = pools_of(release)
    for call in range(1, 10):
        lab.frames.failure = FailCalls(frozenset({call}))
        assert not watched(lab, lambda: grown(lab, 2))
        assert not watched(lab, lambda: lab.pools[0].set_max_huge_pages(0))
    lab.machine.optimize_enabled = False
    assert not watched(lab, lambda: grown(lab, 1))


@pytest.mark.parametrize("release", [V6_12, V6_1], ids=str)
def test_self_hosted_vmemmap_is_a_reason(release: Any) -> None:
    lab = pools(MachineSpec(memory=256 * MIB, vmemmap=VmemmapBacking.SELF_HOSTED), pools_of(release).machine.target)
    assert not watched(lab, lambda: grown(lab, 90))
    optimized = lab.machine.key if release.variant.counts_folios else 1
    assert 0 < optimized < lab.pools[0].h.nr


def _lossy(lost: int) -> Pools:
    lab = pools(SMALL, registry().architecture("arm64").select(release="mm-2026", features=("hafdbs",)))
    lab.machine.entry_updates = FailCalls(frozenset({lost}))
    return lab


def test_an_operation_may_fail_for_a_lost_entry() -> None:
    lab = _lossy(4)
    assert broken(watched(lab, lambda: lab.pools[1].set_max_huge_pages(1))) == set()


def test_a_failure_without_a_lost_entry_breaks_rule_22(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = _lossy(10_000)
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *_: -errno.EAGAIN)
    whats = [
        finding.what
        for finding in watched(lab, lambda: lab.pools[1].set_max_huge_pages(1))
        if finding.rule == "results"
    ]
    assert whats == ["optimize ended with result -11, but no allocation has failed, and no entry was lost"]


def test_a_result_that_ignores_a_lost_entry_breaks_rule_22(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = _lossy(4)
    free = lab.hvo.remap.free
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *arguments: 0 * free(*arguments))
    whats = [
        finding.what
        for finding in watched(lab, lambda: lab.pools[1].set_max_huge_pages(1))
        if finding.rule == "results"
    ]
    assert "optimize ended with result 0, but an allocation that it needs has failed, or an entry was lost" in whats
