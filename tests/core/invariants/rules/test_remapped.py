"""Mutants that break the invariant: remapped."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from tests.core.invariants.mutants import SMALL, broken, grown, pools


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
