"""Each invariant is broken by a deliberately wrong engine, and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hvolab.arch import LiveEntryRule, PgprotRole, Target
from hvolab.errors import KernelBug, OwnershipError
from hvolab.hvo import Hvo, VmemmapPageAllocator
from hvolab.hvo.remap import VmemmapRemap
from hvolab.invariants import EndlessLoopError, Finding, Monitor, Rule
from hvolab.machine import FrameAllocator, MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom
from hvolab.machine.struct_pages import lists
from tests import machines
from tests.machines import GIB, MIB, Pools, x86_64

_SMALL = MachineSpec(memory=512 * MIB, cpus=2)
_GIGANTIC = MachineSpec(memory=3 * GIB)


def pools(spec: MachineSpec, target: Target | None = None) -> Pools:
    """Machines that go folio by folio, as they do when somebody listens: that is what the mutants change."""
    lab = machines.pools(spec, target)
    lab.machine.trace.listeners.append(lambda _: None)
    return lab


def grown(lab: Pools, count: int = 3) -> None:
    lab.pools[0].set_max_huge_pages(count)


def broken(findings: list[Finding]) -> set[Rule]:
    return {finding.rule for finding in findings if not finding.declared}


def watched(lab: Pools, act: Callable[[], Any]) -> list[Finding]:
    """What a monitor and a check at rest find when ``act`` runs."""
    monitor = Monitor(lab.machine)
    with monitor.watch():
        act()
    return monitor.findings + lab.findings()


def test_the_right_engine_breaks_nothing() -> None:
    lab = pools(_SMALL)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        for count in (3, 1, 4, 0):
            lab.pools[0].set_max_huge_pages(count)
            assert not lab.findings()
    assert not monitor.findings
    assert monitor.events > 100


# 1: optimized if and only if remapped


def test_writable_tails_break_rule_1() -> None:
    lab = pools(_SMALL)
    bits = lab.machine.target.bits("pte", PgprotRole.KERNEL)
    lab.hvo.remap._kernel_ro = bits
    grown(lab)
    findings = lab.findings()
    assert Rule.REMAPPED in broken(findings)
    first = next(finding for finding in findings if finding.rule is Rule.REMAPPED)
    assert "tail page 1" in first.what
    assert "RW" in first.where
    assert "expected" in first.where


def test_a_flag_without_a_remap_breaks_rule_1(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    monkeypatch.setattr(lab.hvo.remap, "free", lambda *_: 0)
    grown(lab)
    assert Rule.REMAPPED in broken(lab.findings())


def test_a_flag_cleared_too_early_breaks_rule_1() -> None:
    lab = pools(_SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    lab.hvo._set_optimized(folio, optimized=False)
    assert Rule.REMAPPED in broken(lab.findings())


# 2: the static key


def test_a_failed_optimize_that_keeps_the_key_breaks_rule_2(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    change = lab.machine.change_key
    monkeypatch.setattr(lab.machine, "change_key", lambda delta: change(max(delta, 0)))
    folio = lab.pools[0]._alloc_fresh(0)
    assert folio is not None
    lab.pools[0].h.count(0, nr=1)
    lab.frames.failure = FailFrom(1)
    lab.hvo.optimize_folio(lab.pools[0].h, folio)
    assert Rule.STATIC_KEY in broken(lab.findings())


# 3: the counters


def test_a_page_freed_without_being_counted_breaks_rule_3(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    monkeypatch.setattr(lab.machine, "memmap_boot_pages_add", lambda _: None)
    grown(lab)
    assert Rule.COUNTERS in broken(lab.findings())


# 4: ownership


def test_a_free_frame_in_a_tlb_breaks_rule_4(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    lab.hvo.split_folio(lab.pools[0].h, lab.machine.struct_pages.va(0x1000 * 4))
    monkeypatch.setattr(lab.machine, "flush_tlb_all", lambda: None)
    other = lab.machine.cpus[1]
    for folio in range(0, 0x8000, 64):
        other.load_word(lab.machine.struct_pages.va(folio))
    grown(lab)
    findings = lab.findings()
    assert Rule.OWNERSHIP in broken(findings)
    assert any("CPU 1 still has a translation" in finding.what for finding in findings)


def test_pages_lost_when_a_restore_fails_break_rule_4(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    grown(lab)
    lab.frames.failure = FailCalls(frozenset({4}))
    monkeypatch.setattr(lab.machine, "free_page_run", lambda _: None)
    assert lab.hvo.restore_folio(lab.pools[0].h, next(lab.pools[0].free_folios())) < 0
    assert any("have an owner" in finding.what for finding in lab.findings() if finding.rule is Rule.OWNERSHIP)


def test_a_tail_that_keeps_its_frame_breaks_rule_4_and_is_freed_all_the_same() -> None:
    lab = pools(_SMALL)
    grown(lab)
    remap, folio = lab.hvo.remap, next(lab.pools[0].free_folios())
    pages = VmemmapPageAllocator()
    pages.add_run(lab.machine.tables.frames(folio, 1))
    remap.free_page_list(pages)
    findings = lab.findings()
    assert any("is free, but an entry maps it" in finding.what for finding in findings)


# 5: content


def test_struct_pages_that_are_not_reset_break_rule_5() -> None:
    lab = pools(_SMALL)
    grown(lab)
    lab.hvo.remap._reset_size = 0
    assert not lab.hvo.restore_folio(lab.pools[0].h, next(lab.pools[0].free_folios()))
    findings = lab.findings()
    assert any("tail 64" in finding.what for finding in findings if finding.rule is Rule.CONTENT)


def test_a_head_that_changes_while_it_is_restored_breaks_rule_5(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    alloc = VmemmapRemap.alloc

    def careless(remap: VmemmapRemap, reuse: int, end: int, flags: int) -> int:
        remap.cpu.store_word(reuse + 32, 1)
        return alloc(remap, reuse, end, flags)

    monkeypatch.setattr(VmemmapRemap, "alloc", careless)
    findings = watched(lab, lambda: lab.hvo.restore_folio(lab.pools[0].h, folio))
    assert any("content of a folio's head page changed" in finding.what for finding in findings)


# 6: stores


class LateFlag(Hvo):
    """Sets the optimized flag after the remap, as kernels before the batching series did."""

    def _set_optimized(self, folio: int, *, optimized: bool) -> None:
        if not optimized or self.machine.key < 0:
            super()._set_optimized(folio, optimized=optimized)

    def _optimize(self, h: Any, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        result = super()._optimize(h, folio, pages, flags)
        super()._set_optimized(folio, optimized=not result)
        return result


def test_a_flag_that_is_set_after_the_copy_breaks_rule_6() -> None:
    lab = pools(_SMALL)
    lab.pools[0].hvo = LateFlag(lab.machine)
    findings = watched(lab, lambda: grown(lab))
    assert Rule.STORES in broken(findings)
    assert any("is lost" in finding.what for finding in findings)
    assert next(finding.since for finding in findings if finding.rule is Rule.STORES)


# 7: pools


def test_a_folio_lost_when_its_restore_fails_breaks_rule_7(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    grown(lab)
    monkeypatch.setattr(lab.pools[0], "add", lambda *_, **__: None)
    lab.frames.failure = FailFrom(1)
    lab.pools[0].set_max_huge_pages(1)
    assert Rule.POOL in broken(lab.findings())


# 8: splits


def test_a_block_that_is_not_split_breaks_rule_8(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(replace(_SMALL, vmemmap=VmemmapBacking.BUDDY))
    monkeypatch.setattr(lab.machine, "split_page", lambda *_: None)
    folio = lab.pools[0]._alloc_fresh(0)
    assert folio is not None
    lab.pools[0].h.count(0, nr=1)
    lab.hvo.split_folio(lab.pools[0].h, folio)
    assert Rule.SPLITS in broken(lab.findings())


def test_a_reserved_block_that_is_split_breaks_rule_8(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    monkeypatch.setattr(FrameAllocator, "split", lambda *_: None)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        frame = lab.machine.tables.frame_of(lab.machine.struct_pages.base)
        assert frame is not None
        lab.machine.split_page(frame, 9)
        lab.machine.split_page(frame, 9)
    assert [finding.rule for finding in monitor.findings] == [Rule.SPLITS] * 3


# 9: self-hosted vmemmap


def test_freeing_self_hosted_vmemmap_breaks_rule_9(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(replace(_SMALL, vmemmap=VmemmapBacking.SELF_HOSTED))
    monkeypatch.setattr(lab.machine.records, "self_hosted", lambda *_: False)
    start, _ = lab.machine.self_hosted[0]
    folio = lab.machine.struct_pages.va(start + 0x400)
    monkeypatch.setattr(FrameAllocator, "split", lambda *_: None)
    with pytest.raises(OwnershipError):
        lab.hvo.optimize_folio(lab.pools[0].h, folio)
    assert Rule.SELF_HOSTED in broken(lab.findings())


# 10: termination


def test_an_error_path_that_keeps_its_list_breaks_rule_10(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    grown(lab)
    monkeypatch.setattr(lab.pools[0], "_bulk_restore_error", lambda *_: None)
    lab.frames.failure = FailFrom(1)
    monitor = Monitor(lab.machine)
    with monitor.watch(), pytest.raises(EndlessLoopError):
        lab.pools[0].set_max_huge_pages(0)
    assert broken(monitor.findings) == {Rule.TERMINATION}


# 11: grace periods and flushes


class ForgetfulFlags(Hvo):
    """Waits for a grace period for each folio of a batch."""

    def _optimize(self, h: Any, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        return super()._optimize(h, folio, pages, flags | 4)


def test_a_grace_period_for_each_folio_breaks_rule_11() -> None:
    lab = pools(_SMALL)
    lab.pools[0].hvo = ForgetfulFlags(lab.machine)
    assert Rule.FLUSHES in broken(watched(lab, lambda: grown(lab)))


def test_a_full_flush_for_each_folio_breaks_rule_11(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(_SMALL)
    split = lab.hvo.split_folio

    def eager(h: Any, folio: int) -> int:
        lab.machine.flush_tlb_all()
        return split(h, folio)

    monkeypatch.setattr(lab.hvo, "split_folio", eager)
    assert Rule.FLUSHES in broken(watched(lab, lambda: grown(lab)))


# 12: live entries


def test_replacing_live_entries_where_that_is_forbidden_breaks_rule_12() -> None:
    target = x86_64()
    traits = replace(target.architecture.traits, live_entries=LiveEntryRule.BREAK_BEFORE_MAKE)
    strict = replace(target.architecture, traits=traits).select()
    lab = pools(_SMALL, strict)
    findings = watched(lab, lambda: grown(lab, 1))
    live = [finding for finding in findings if finding.rule is Rule.LIVE_ENTRIES]
    assert live
    assert all(finding.declared for finding in live)
    assert "made invalid and flushed first" in live[0].what


def test_a_restore_that_finds_a_foreign_frame_stops_like_the_kernel() -> None:
    lab = pools(_SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    step = lab.machine.tables.find(folio + 4096)
    lab.machine.memory.write_word(step.slot, step.raw + 4096)
    with pytest.raises(KernelBug, match="not mapped to the page to reuse"):
        lab.hvo.restore_folio(lab.pools[0].h, folio)


def test_a_corrupt_list_stops_like_the_kernel() -> None:
    lab = pools(_SMALL)
    grown(lab)
    head = lab.pools[0].h.freelists[0]
    first = lab.machine.cpus[0].load_word(head)
    lab.machine.cpus[0].store_word(first + 8, first)
    with pytest.raises(KernelBug, match="list corruption"):
        lists.delete(lab.machine.cpus[0], first)
