# SPDX-License-Identifier: GPL-2.0-only
"""Known faults of releases, as rules use them."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.hugetlb import demote_pool_huge_page
from hvolab.invariants import Monitor
from hvolab.invariants.faults import demoted_as_optimized, is_demoted, restored_as_heads, skipped_grace_period
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailCalls
from hvolab.release import KernelRelease
from hvolab.release.faults import DEMOTED_AS_OPTIMIZED, LOST_HEADS, RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from tests.core.invariants.mutants import broken, grown, pools_of
from tests.machines import GIB, pools, x86_64


@pytest.mark.parametrize(
    ("release", "predicted"),
    [(V6_1, (0, "")), (V6_12, (0, "")), (V6_12_117, (4, RESTORED_AS_HEADS)), (V7_2, (0, ""))],
    ids=str,
)
def test_only_a_release_with_the_fault_predicts_wrong_tails(release: KernelRelease, predicted: tuple[int, str]) -> None:
    assert restored_as_heads(pools_of(release).machine) == predicted


@pytest.mark.slow
def test_parts_of_a_demoted_folio_that_pass_for_optimized_are_one_finding() -> None:
    lab = pools(MachineSpec(memory=3 * GIB, deferred_struct_pages=True), x86_64(release=V6_12_117))
    small, large = lab.pools
    large.set_max_huge_pages(1)
    assert demote_pool_huge_page(large, small, 1) == 1
    assert lab.machine.key == 1  # of the first part, which is optimized
    found = {finding.rule: finding for finding in lab.findings() if finding.fault == DEMOTED_AS_OPTIMIZED}
    assert set(found) == {"remapped", "static_key"}
    assert found["remapped"].what.startswith("511 folios of 2 MiB have the optimized flag, but no tail page ")
    assert found["static_key"].what == "the static key is 1, but 512 folios are optimized"
    assert [finding for finding in lab.findings() if not (finding.declared or finding.fault)] == []
    part = min(small.live) + 512 * lab.machine.struct_pages.layout.size
    assert is_demoted(lab.machine, part)
    assert not is_demoted(lab.machine, min(small.live))  # the first part
    with Monitor(lab.machine).watch() as monitor:
        small.set_max_huge_pages(0)
    lost = [finding for finding in monitor.findings if finding.rule == "ownership"]
    assert [(finding.what.partition(" ")[0], finding.fault) for finding in lost] == [("3577", DEMOTED_AS_OPTIMIZED)]
    assert lab.machine.key == -511
    assert {finding.fault for finding in lab.findings() if finding.rule in {"ownership", "counters"}} == {""}


def test_a_folio_that_is_not_remapped_is_no_known_fault_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools_of(V6_12_117)
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *_: 0)
    grown(lab)
    pfns = np.array(sorted(map(lab.machine.struct_pages.pfn, lab.pools[0].free_folios())))
    assert not demoted_as_optimized(lab.machine, pfns).any()
    findings = lab.findings()
    assert "remapped" in broken(findings)
    assert DEMOTED_AS_OPTIMIZED not in {finding.fault for finding in findings}


@pytest.mark.parametrize("release", [V6_12, V6_12_117, V7_2], ids=str)
def test_a_rollback_loses_the_new_head_page_where_tails_share_it(release: KernelRelease) -> None:
    lab = pools(MachineSpec(memory=3 * GIB, deferred_struct_pages=True), x86_64(release=release))
    pool = lab.pools[1]
    lab.machine.optimize_enabled = False
    pool.set_max_huge_pages(1)
    lab.machine.optimize_enabled = True
    # no table in the first pass, then the first one, and not the second
    lab.frames.failure = FailCalls(frozenset({1, 5 if release.variant.shares_tail_page else 4}))
    with Monitor(lab.machine).watch() as monitor:
        lab.hvo.optimize_folios(pool.h, pool.h.freelists[0])
    findings = [one for one in (*monitor.findings, *lab.findings()) if one.fault != RESTORED_AS_HEADS]
    lost = [("ownership", LOST_HEADS), ("counters", LOST_HEADS), ("ownership", LOST_HEADS)]
    assert [(one.rule, one.fault) for one in findings] == (lost if release is V6_12_117 else [])


def test_a_folio_behind_another_one_on_a_list_may_lack_its_grace_period() -> None:
    lab = pools_of(V6_12)
    grown(lab, 2)
    first, second = lab.pools[0].free_folios()
    assert skipped_grace_period(lab.machine, first) == ""
    assert skipped_grace_period(lab.machine, second) == SKIPPED_GRACE_PERIOD
    assert skipped_grace_period(pools_of(V7_2).machine, second) == ""
