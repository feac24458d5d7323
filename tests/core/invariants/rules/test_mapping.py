# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariants of mapping: remapped, static key, counters."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.machine.frames.failure import FailFrom
from hvolab.release import KernelRelease
from hvolab.release.gfp import GFP_VMEMMAP_TAIL
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of

# remapped


@pytest.mark.parametrize("release", [V6_1, V6_12, V6_12_117, V7_2], ids=str)
def test_writable_tails_break_rule_1(release: KernelRelease) -> None:
    lab = pools_of(release)
    bits = lab.machine.target.bits("pte", PgprotRole.KERNEL)
    lab.hvo.remap._kernel_ro = bits
    grown(lab)
    findings = lab.findings()
    assert "remapped" in broken(findings)
    first = next(finding for finding in findings if finding.rule == "remapped")
    assert "tail page 1" in first.what
    assert "RW" in first.where
    assert "expected" in first.where


def test_a_flag_without_a_remap_breaks_rule_1(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *_: 0)
    grown(lab)
    assert "remapped" in broken(lab.findings())


def test_a_flag_cleared_too_early_breaks_rule_1() -> None:
    lab = pools(SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    lab.hvo._set_optimized(folio, optimized=False)
    assert "remapped" in broken(lab.findings())


def test_tails_that_share_their_heads_frame_where_their_zone_has_one_break_rule_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = pools_of(V7_2)
    free = lab.hvo.remap.free
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *arguments: free(*arguments[:4]))
    grown(lab)
    (finding, *_) = (finding for finding in lab.findings() if finding.rule == "remapped")
    assert finding.what.endswith("is not mapped read-only to the frame that tails of its zone and order share")


def test_tails_of_another_zone_break_rule_1() -> None:
    lab = pools_of(V7_2)
    grown(lab, 1)
    ((place, pfn),) = lab.machine.vmemmap_tails.items()
    other = lab.machine.alloc_pages(GFP_VMEMMAP_TAIL, 0)
    assert other is not None
    lab.machine.vmemmap_tails[place] = other
    lab.machine.vmemmap_tails[place[0], place[1] + 1, place[2]] = pfn
    assert "remapped" in broken(lab.findings())


def test_a_tail_that_keeps_the_shared_frame_when_it_is_restored_breaks_rule_1(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools_of(V7_2)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    monkeypatch.setattr(lab.hvo.remap, "alloc", lambda *_: 0)
    lab.hvo.restore_folio(lab.pools[0].h, folio)
    assert "remapped" in broken(lab.findings())


# static key


def test_a_failed_optimize_that_keeps_the_key_breaks_rule_2(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    change = lab.machine.change_key
    monkeypatch.setattr(lab.machine, "change_key", lambda delta: change(max(delta, 0)))
    folio = lab.pools[0]._alloc_fresh(0)
    assert folio is not None
    lab.pools[0].h.count(0, nr=1)
    lab.frames.failure = FailFrom(1)
    lab.hvo.optimize_folio(lab.pools[0].h, folio)
    assert "static_key" in broken(lab.findings())


# counters


@pytest.mark.parametrize("release", [V6_12, V6_12_117, V7_2], ids=str)
def test_a_page_freed_without_being_counted_breaks_rule_3(
    monkeypatch: pytest.MonkeyPatch, release: KernelRelease
) -> None:
    lab = pools_of(release)
    monkeypatch.setattr(lab.machine, "memmap_boot_pages_add", lambda _: None)
    grown(lab)
    assert "counters" in broken(lab.findings())


def test_a_shared_page_that_is_counted_breaks_rule_3(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools_of(V7_2)
    tail_page = lab.hvo.remap.tail_page

    def counted(folio: int, order: int) -> int | None:
        known = len(lab.machine.vmemmap_tails)
        page = tail_page(folio, order)
        lab.machine.memmap_pages_add(len(lab.machine.vmemmap_tails) - known)
        return page

    monkeypatch.setattr(lab.hvo.remap, "tail_page", counted)
    grown(lab)
    (finding,) = lab.findings()
    assert finding.rule == "counters"
    assert finding.what.endswith("frames back the vmemmap, besides the pages that tails share")
