"""Mutants that break the invariant: splits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.invariants import Monitor
from hvolab.machine import FrameAllocator, VmemmapBacking
from tests.core.invariants.mutants import SMALL, broken, pools


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
