# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariant: content."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.hvo.remap import VmemmapRemap
from hvolab.release import KernelRelease
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of, watched
from tests.machines import GIB, Pools, x86_64

GIGANTIC = replace(SMALL, memory=3 * GIB)


def test_struct_pages_that_are_not_reset_break_rule_5() -> None:
    lab = pools(SMALL)
    grown(lab)
    lab.hvo.remap._restore._reset_size = 0
    assert not lab.hvo.restore_folio(lab.pools[0].h, next(lab.pools[0].free_folios()))
    findings = lab.findings()
    assert any("tail 64" in finding.what for finding in findings if finding.rule == "content")


@pytest.mark.parametrize("release", [V6_1, V6_12, V6_12_117, V7_2], ids=str)
def test_a_head_that_changes_while_it_is_restored_breaks_rule_5(
    monkeypatch: pytest.MonkeyPatch, release: KernelRelease
) -> None:
    lab = pools_of(release)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    alloc = VmemmapRemap.alloc

    def careless(remap: VmemmapRemap, reuse: int, end: int, flags: int) -> int:
        remap.cpu.store_word(reuse + 32, 1)
        return alloc(remap, reuse, end, flags)

    monkeypatch.setattr(VmemmapRemap, "alloc", careless)
    findings = watched(lab, lambda: lab.hvo.restore_folio(lab.pools[0].h, folio))
    assert any("content of a folio's head page changed" in finding.what for finding in findings)


def drained(lab: Pools) -> None:
    lab.pools[0].set_max_huge_pages(0)


@pytest.mark.parametrize("release", [V6_1, V6_12], ids=str)
def test_struct_pages_that_are_not_reset_break_rule_5_after_the_folio_was_freed(release: KernelRelease) -> None:
    lab = pools_of(release)
    grown(lab)
    lab.hvo.remap._restore._reset_size = 0
    findings = watched(lab, lambda: drained(lab))
    assert broken(findings) == {"content", "freeing"}
    assert "a restored tail does not point to its head" in {finding.what for finding in findings}


def test_a_release_that_restores_copies_of_the_head_breaks_rule_5_by_a_known_fault() -> None:
    lab = pools_of(V6_12_117)
    grown(lab)
    findings = watched(lab, lambda: drained(lab))
    assert not broken(findings)
    assert {finding.fault for finding in findings} == {RESTORED_AS_HEADS}
    assert not any(finding.declared for finding in findings)
    findings = [finding for finding in findings if finding.rule == "content"]
    assert {(finding.what, "tail 64 at" in finding.where) for finding in findings} == {
        ("a restored tail does not point to its head", True),
        ("a restored tail has no TAIL_MAPPING", True),
    }


def test_so_do_the_tails_of_a_folio_that_stays_in_its_pool() -> None:
    lab = pools_of(V6_12_117)
    grown(lab, 1)
    (folio,) = lab.pools[0].free_folios()
    assert not lab.hvo.restore_folio(lab.pools[0].h, folio)
    findings = lab.findings()
    assert any("tail 64 of folio" in finding.what for finding in findings)
    assert not broken(findings)


@pytest.mark.parametrize("release", [V6_12_117, V7_2], ids=str)
def test_copies_of_another_page_break_rule_5(release: KernelRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools_of(release)
    grown(lab)
    copy, wrong = lab.hvo.cpu.copy_page, lab.machine.page_to_virt(lab.frames.allocate(0, 0, 0) or 0)
    monkeypatch.setattr(lab.hvo.cpu, "copy_page", lambda to, _: copy(to, wrong))
    assert broken(watched(lab, lambda: drained(lab))) >= {"content"}


def test_a_page_of_wrong_tails_that_folios_share_breaks_rule_5() -> None:
    lab = pools_of(V7_2)
    grown(lab)
    ((_, _, order), pfn) = next(iter(lab.machine.vmemmap_tails.items()))
    lab.machine.cpus[0].store_word(lab.machine.page_to_virt(pfn) + 5 * 64 + 24, 0)
    (finding,) = lab.findings()
    assert finding.what == f"a tail that folios of order {order} share has no TAIL_MAPPING"
    assert f"zone DMA32, PFN {pfn:#x}, tail 5, mapping 0x0" in finding.where


def test_gigantic_folios_of_a_release_without_the_mapping_of_their_tails_are_not_tested_for_it() -> None:
    broken_by = {}
    for release in (V6_1, V6_12):
        lab = pools(GIGANTIC, x86_64(release=release))
        pool = lab.pools[1]
        lab.machine.optimize_enabled = False
        pool.set_max_huge_pages(1)
        (folio,) = pool.free_folios()
        lab.machine.cpus[0].store_word(folio + 100 * 64 + 24, 0)
        broken_by[release] = broken(lab.findings())
    assert broken_by == {V6_1: set(), V6_12: {"content"}}
