# SPDX-License-Identifier: GPL-2.0-only
"""The invariant of struct pages that are freed, and the memory that the kernel keeps because of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.invariants import Finding, Monitor
from hvolab.machine import MachineSpec
from hvolab.release import KernelRelease
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched
from tests.machines import GIB, Pools, x86_64
from tests.made_up import MADE_UP

UNCHECKED = replace(SMALL, check_pages=False)
EACH = pytest.mark.parametrize("release", [V6_1, V6_12, V7_2], ids=str)


def lab_of(release: KernelRelease, spec: MachineSpec = SMALL) -> Pools:
    return pools(spec, x86_64(release=release))


def freed(lab: Pools, count: int = 8) -> list[Finding]:
    """Findings of this rule when a pool of so many optimized folios shrinks to none."""
    grown(lab, count)
    return [one for one in watched(lab, lambda: lab.pools[0].set_max_huge_pages(0)) if one.rule == "freeing"]


def test_what_the_kernel_of_6_12_117_prints_and_loses() -> None:
    lab = lab_of(V6_12_117)
    findings = {finding.what.partition(":")[0]: finding for finding in freed(lab)}
    assert {reason: finding.what for reason, finding in findings.items()} == {
        reason: f'{reason}: {count} struct pages of 8 freed folios of 2 MiB; the kernel prints "BUG: Bad page state" '
        "and keeps the memory: 16 MiB lost"
        for reason, count in (
            ("corrupted mapping in tail page", 224),
            ("PAGE_FLAGS_CHECK_AT_FREE flag(s) set", 56),
            ("nonzero mapcount", 56),
        )
    }
    example = findings["nonzero mapcount"].where
    assert example.startswith("struct page 64 of folio PFN ")
    for words in ("(PG_head)", "page_type 0xf4000000 (hugetlb)", "private 0x10"):
        assert words in example
    assert {(finding.fault, finding.declared) for finding in findings.values()} == {(RESTORED_AS_HEADS, False)}
    assert lab.machine.lost_frames == 8 * 512


def test_without_checks_the_type_of_hugetlb_stays_in_free_memory() -> None:
    lab = lab_of(V6_12_117, UNCHECKED)
    findings = [finding for finding in freed(lab) if finding.since is None]
    (finding,) = findings
    assert finding.what == "nonzero mapcount in free memory: 56 struct pages of 8 freed folios of 2 MiB"
    assert "page_type 0xf4000000 (hugetlb)" in finding.where
    assert finding.fault == RESTORED_AS_HEADS
    assert lab.machine.lost_frames == 0


@pytest.mark.slow
def test_folios_of_several_sizes_are_counted_together() -> None:
    lab = lab_of(V6_12_117, MachineSpec(memory=3 * GIB))
    monitor = Monitor(lab.machine)
    with monitor.watch():
        for pool in lab.pools:
            pool.set_max_huge_pages(1)
            pool.set_max_huge_pages(0)
    (found,) = [one for one in monitor.findings if one.what.startswith("nonzero mapcount")]
    both = "7 struct pages of 1 freed folio of 2 MiB, 4095 struct pages of 1 freed folio of 1 GiB"
    assert f"4102 in all: {both}; " in found.what


@EACH
@pytest.mark.parametrize("spec", [SMALL, UNCHECKED], ids=["checked", "unchecked"])
def test_the_other_releases_free_what_the_allocator_demands(release: KernelRelease, spec: MachineSpec) -> None:
    lab = lab_of(release, spec)
    assert freed(lab) == []
    assert lab.machine.lost_frames == 0


@EACH
def test_a_type_that_is_left_in_a_tail_is_found_when_its_folio_is_freed(release: KernelRelease) -> None:
    lab = lab_of(release)
    lab.machine.optimize_enabled = False
    grown(lab, 1)
    (folio,) = lab.pools[0].free_folios()
    layout = lab.machine.struct_pages.layout
    lab.machine.cpus[0].store_word(folio + 100 * layout.size + layout.page_type, 0xF4000000)
    findings = watched(lab, lambda: lab.pools[0].set_max_huge_pages(0))
    assert broken(findings) == {"freeing"}
    (finding,) = findings
    assert finding.what.startswith("nonzero mapcount: 1 struct pages of 1 freed folio of 2 MiB; the kernel prints")
    assert finding.where.startswith("struct page 100 of folio ")


def test_a_store_to_a_struct_page_of_free_memory_is_found_at_rest() -> None:
    lab = lab_of(V6_12)
    grown(lab, 1)
    (folio,) = lab.pools[0].free_folios()
    lab.pools[0].set_max_huge_pages(0)
    assert lab.findings() == []
    layout = lab.machine.struct_pages.layout
    lab.machine.cpus[0].store_word(folio + 5 * layout.size + layout.mapping, 1)
    (finding,) = lab.findings()
    assert (finding.rule, finding.fault) == ("freeing", "")
    assert finding.what == "non-NULL mapping in free memory: 1 struct pages of 1 freed folio of 2 MiB"


def test_a_single_frame_with_a_mapping_is_lost() -> None:
    lab = lab_of(V6_12)
    pfn = lab.machine.alloc_pages(0, 0)
    assert pfn is not None
    layout = lab.machine.struct_pages.layout
    lab.machine.cpus[0].store_word(lab.machine.struct_pages.va(pfn) + layout.mapping, 1)
    findings = watched(lab, lambda: lab.machine.free_pages(pfn, 0))
    (finding,) = [one for one in findings if one.rule == "freeing"]
    assert finding.what.startswith("non-NULL mapping: 1 struct pages of 1 freed page of 4 KiB; the kernel prints")
    assert lab.machine.lost_frames == 1
    assert broken(lab.findings()) == set()


#: Flags without node, zone and last CPU, compound_head, mapping, private and page_type of struct pages of a lost folio:
#: `x86_64-6.12.117-default/restored.core.xz`, PFN 0x3e00. The head's compound_head is part of a list.
LEFT_BEHIND = {
    0: (0x40, None, 0, 0, 0xFFFFFFFF),
    1: (0, 0, 0, 0, 0xFFFFFFFF),
    2: (0, 0, 0, 0, 0xFFFFFFFF),
    64: (0x40, 0, 0, 0x10, 0xF4000000),
    65: (0x9, 0, 0, 0, 0xFFFFFFFF),
    66: (0, 0, 0, 0, 0xFFFFFFFF),
    67: (0, 0, 0, 0, 0xFFFFFFFF),
    128: (0x40, 0, 0, 0x10, 0xF4000000),
}


def test_a_lost_folio_is_left_as_in_memory_of_a_booted_kernel() -> None:
    lab = lab_of(V6_12_117)
    grown(lab, 1)
    (folio,) = lab.pools[0].free_folios()
    lab.pools[0].set_max_huge_pages(0)
    layout, pages = lab.machine.struct_pages.layout, lab.machine.struct_pages
    for number, (flags, *words, page_type) in LEFT_BEHIND.items():
        pfn = pages.pfn(folio) + number
        assert pages.word(pfn, layout.flags) & ((1 << layout.last_cpupid_shift) - 1) == flags, number
        found = [pages.word(pfn, offset) for offset in (layout.compound_head, layout.mapping, layout.private)]
        assert all(word in {None, seen} for word, seen in zip(words, found, strict=True)), number
        assert pages.word(pfn, layout.page_type) & 0xFFFFFFFF == page_type, number


@pytest.mark.parametrize("checks", [True, False])
def test_several_folios_of_a_big_endian_machine_are_freed_as_they_should_be(checks: bool) -> None:  # noqa: FBT001
    target = MADE_UP.select()
    lab = pools(replace(UNCHECKED, memory=GIB, check_pages=checks), target)
    assert freed(lab, 3) == []
