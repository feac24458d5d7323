# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariants of ownership: ownership, self hosted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.errors import OwnershipError
from hvolab.hvo import VmemmapPageAllocator
from hvolab.machine import FrameAllocator, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls
from hvolab.release.releases import V7_2
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of

# ownership


def test_a_free_frame_in_a_tlb_breaks_rule_4(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    lab.hvo.split_folio(lab.pools[0].h, lab.machine.struct_pages.va(0x1000 * 4))
    monkeypatch.setattr(lab.machine, "flush_tlb_all", lambda: None)
    other = lab.machine.cpus[1]
    for folio in range(0, 0x8000, 64):
        other.load_word(lab.machine.struct_pages.va(folio))
    grown(lab)
    findings = lab.findings()
    assert "ownership" in broken(findings)
    assert any("CPU 1 still has a translation" in finding.what for finding in findings)


def test_pages_lost_when_a_restore_fails_break_rule_4(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    lab.frames.failure = FailCalls(frozenset({4}))
    monkeypatch.setattr(lab.machine, "free_page_run", lambda _: None)
    assert lab.hvo.restore_folio(lab.pools[0].h, next(lab.pools[0].free_folios())) < 0
    assert any("have an owner" in finding.what for finding in lab.findings() if finding.rule == "ownership")


def test_a_tail_that_keeps_its_frame_breaks_rule_4_and_is_freed_all_the_same() -> None:
    lab = pools(SMALL)
    grown(lab)
    remap, folio = lab.hvo.remap, next(lab.pools[0].free_folios())
    pages = VmemmapPageAllocator()
    pages.add_run(lab.machine.tables.frames(folio, 1))
    remap.free_page_list(pages)
    findings = lab.findings()
    assert any("is free, but an entry maps it" in finding.what for finding in findings)


def test_a_shared_page_that_is_freed_breaks_rule_4() -> None:
    lab = pools_of(V7_2)
    grown(lab)
    lab.pools[0].set_max_huge_pages(0)
    assert not lab.findings()
    (pfn,) = lab.machine.vmemmap_tails.values()
    lab.machine.free_pages(pfn, 0)
    (finding, *_) = lab.findings()
    assert (finding.rule, finding.what) == ("ownership", f"PFN {pfn:#x} is free, but is shared by the tails of a zone")


def test_a_shared_page_that_no_zone_has_breaks_rule_4() -> None:
    lab = pools_of(V7_2)
    grown(lab)
    lab.pools[0].set_max_huge_pages(0)
    lab.machine.vmemmap_tails.clear()
    assert broken(lab.findings()) == {"ownership"}


def test_a_shared_page_with_another_use_breaks_rule_4() -> None:
    lab = pools_of(V7_2)
    grown(lab)
    (place,) = lab.machine.vmemmap_tails
    for shared in (lab.machine.tables.frame_of(lab.machine.struct_pages.base), lab.machine.vmemmap_tails[place]):
        assert shared is not None
        lab.machine.vmemmap_tails[place[0], place[1], 18] = shared
        findings = [finding.what for finding in lab.findings() if finding.rule == "ownership"]
        assert f"PFN {shared:#x} is shared by the tails of a zone, and has another use" in findings


# self hosted


def test_freeing_self_hosted_vmemmap_breaks_rule_9(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(replace(SMALL, vmemmap=VmemmapBacking.SELF_HOSTED))
    monkeypatch.setattr(lab.machine.records, "self_hosted", lambda *_: False)
    start, _ = lab.machine.self_hosted[0]
    folio = lab.machine.struct_pages.va(start + 0x400)
    monkeypatch.setattr(FrameAllocator, "split", lambda *_: None)
    with pytest.raises(OwnershipError):
        lab.hvo.optimize_folio(lab.pools[0].h, folio)
    assert "self_hosted" in broken(lab.findings())
