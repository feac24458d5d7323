# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariants of mapping: remapped, static key, counters."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.machine.frames.failure import FailFrom
from tests.core.invariants.mutants import SMALL, broken, grown, pools

# remapped


def test_writable_tails_break_rule_1() -> None:
    lab = pools(SMALL)
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


def test_a_page_freed_without_being_counted_breaks_rule_3(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.machine, "memmap_boot_pages_add", lambda _: None)
    grown(lab)
    assert "counters" in broken(lab.findings())
