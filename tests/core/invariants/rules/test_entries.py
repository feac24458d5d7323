# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariants of entries: splits, live entries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import LiveEntryRule
from hvolab.hvo import remap
from hvolab.hvo.update import PlainStores
from hvolab.invariants import Monitor
from hvolab.machine import FrameAllocator, VmemmapBacking
from hvolab.plugin import registry
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched
from tests.machines import x86_64

# splits


def test_a_block_that_is_not_split_breaks_rule_8(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(replace(SMALL, vmemmap=VmemmapBacking.BUDDY))
    monkeypatch.setattr(lab.machine, "split_page", lambda *_: None)
    folio = lab.pools[0]._alloc_fresh(0)
    assert folio is not None
    lab.pools[0].h.count(0, nr=1)
    lab.hvo.split_folio(lab.pools[0].h, folio)
    assert "splits" in broken(lab.findings())


def test_a_reserved_block_that_is_split_breaks_rule_8(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(FrameAllocator, "split", lambda *_: None)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        frame = lab.machine.tables.frame_of(lab.machine.struct_pages.base)
        assert frame is not None
        lab.machine.split_page(frame, 9)
        lab.machine.split_page(frame, 9)
    assert [finding.rule for finding in monitor.findings] == ["splits"] * 3


# live entries


def test_replacing_live_entries_where_that_is_forbidden_breaks_rule_12() -> None:
    target = x86_64()
    traits = replace(target.architecture.traits, live_entries=LiveEntryRule.BREAK_BEFORE_MAKE)
    strict = replace(target.architecture, traits=traits).select()
    lab = pools(SMALL, strict)
    findings = watched(lab, lambda: grown(lab, 1))
    live = [finding for finding in findings if finding.rule == "live_entries"]
    assert live
    assert all(finding.declared for finding in live)
    assert "made invalid and flushed first" in live[0].what


def test_plain_stores_where_the_description_has_another_update_break_rule_12(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remap, "entry_update", lambda _, machine, cpu: PlainStores(machine, cpu))
    lab = pools(SMALL, registry().architecture("arm64").select(release="mm-2026", features=("hafdbs",)))
    findings = watched(lab, lambda: lab.pools[1].set_max_huge_pages(1))
    assert "live_entries" in broken(findings)
