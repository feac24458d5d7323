# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that leave translations in TLBs."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.hvo import Hvo
from hvolab.hvo.update import ClearAccessedAndExchange
from hvolab.plugin import registry
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched
from tests.machines import Pools


def read_by_another(lab: Pools, folio: int) -> None:
    """Let CPU 1 read each page of a folio's vmemmap."""
    for page in range(8):
        lab.machine.cpus[1].load_word(folio + page * 4096)


def test_a_cpu_with_a_stale_translation_is_named_with_both_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    read_by_another(lab, folio)
    monkeypatch.setattr(lab.machine, "flush_tlb_kernel_range", lambda *_: None)
    assert lab.hvo.restore_folio(lab.pools[0].h, folio) == 0
    findings = lab.findings()
    assert broken(findings) == {"translations"}
    findings = [finding for finding in findings if finding.what.startswith("CPU 1")]
    assert len(findings) == 7
    tail, pages = folio + 4096, lab.machine.struct_pages
    shared, own = (lab.machine.tables.frame_of(va) for va in (folio, tail))
    what = f"CPU 1 still translates VA {tail:#x} to PFN {shared:#x}, the tables map another, PFN {own:#x}"
    assert (findings[0].what, findings[0].where) == (what, f"folio PFN {pages.pfn(folio):#x}")


def test_with_the_flush_nothing_is_stale() -> None:
    lab = pools(SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    read_by_another(lab, folio)
    assert watched(lab, lambda: lab.hvo.restore_folio(lab.pools[0].h, folio)) == []


def engine(lab: Pools, kind: type[Hvo]) -> None:
    for pool in lab.pools:
        pool.hvo = kind(lab.machine)


class NoFlushAfterSplit(Hvo):
    def optimize_folios(self, h: Any, folio_list: int) -> None:
        flush, calls = self.machine.flush_tlb_all, []

        def second() -> None:
            calls.append(1)
            if len(calls) > 1:
                flush()

        self.machine.flush_tlb_all = second  # type: ignore[method-assign]
        super().optimize_folios(h, folio_list)
        self.machine.flush_tlb_all = flush  # type: ignore[method-assign]


def test_a_split_without_a_flush_breaks_rule_15() -> None:
    lab = pools(SMALL)
    engine(lab, NoFlushAfterSplit)
    findings = watched(lab, lambda: grown(lab))
    assert broken(findings) == {"flushed"}
    assert "below a leaf of level pmd that was split and not flushed" in findings[0].what


def test_frames_freed_before_a_flush_break_rule_15_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.machine, "flush_tlb_all", lambda: None)
    findings = watched(lab, lambda: grown(lab))
    freed = [finding for finding in findings if "were freed before" in finding.what]
    assert [finding.what for finding in freed] == [
        "24 frames were freed before the VAs that they were mapped at were flushed"
    ]
    assert "folio PFN 0x" in freed[0].where


def test_a_restore_without_its_flush_breaks_rule_15(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    monkeypatch.setattr(lab.machine, "flush_tlb_all", lambda: None)
    findings = watched(lab, lambda: lab.pools[0].set_max_huge_pages(0))
    assert "21 pages have other entries and were not flushed when the operation ended" in findings[0].what


def test_a_folio_by_itself_without_its_flush_breaks_rule_15(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.machine, "flush_tlb_kernel_range", lambda *_: None)
    findings = watched(lab, lab.pools[0].alloc_surplus)
    assert "8 pages have other entries and were not flushed when the operation ended" in [
        each.what for each in findings
    ]


def _scheme_of_2026() -> Pools:
    return pools(SMALL, registry().architecture("arm64").select(release="mm-2026", features=("hafdbs",)))


def test_a_page_that_is_not_flushed_after_its_flag_was_cleared_breaks_rule_15(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = _scheme_of_2026()
    monkeypatch.setattr(lab.machine, "flush_tlb_kernel_range", lambda *_: None)
    whats = {
        finding.what
        for finding in watched(lab, lambda: lab.pools[1].set_max_huge_pages(1))
        if finding.rule == "flushed"
    }
    assert whats == {"an entry was replaced, and not flushed since its accessed flag was cleared"}


def test_an_entry_that_is_replaced_under_another_va_breaks_rule_15(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, replace_one = _scheme_of_2026(), ClearAccessedAndExchange.replace_one

    def elsewhere(self: ClearAccessedAndExchange, slot: int, va: int, before: int, after: int) -> bool:
        return replace_one(self, slot, va + 4096, before, after)

    monkeypatch.setattr(ClearAccessedAndExchange, "replace_one", elsewhere)
    whats = {
        finding.what
        for finding in watched(lab, lambda: lab.pools[1].set_max_huge_pages(1))
        if finding.rule == "flushed"
    }
    assert "an entry was replaced as that of another VA than it maps" in whats
