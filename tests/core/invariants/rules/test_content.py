# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariant: content."""

from __future__ import annotations

import pytest

from hvolab.hvo.remap import VmemmapRemap
from tests.core.invariants.mutants import SMALL, grown, pools, watched


def test_struct_pages_that_are_not_reset_break_rule_5() -> None:
    lab = pools(SMALL)
    grown(lab)
    lab.hvo.remap._restore._reset_size = 0
    assert not lab.hvo.restore_folio(lab.pools[0].h, next(lab.pools[0].free_folios()))
    findings = lab.findings()
    assert any("tail 64" in finding.what for finding in findings if finding.rule == "content")


def test_a_head_that_changes_while_it_is_restored_breaks_rule_5(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    alloc = VmemmapRemap.alloc

    def careless(remap: VmemmapRemap, reuse: int, end: int, flags: int) -> int:
        remap.cpu.store_word(reuse + 32, 1)
        return alloc(remap, reuse, end, flags)

    monkeypatch.setattr(VmemmapRemap, "alloc", careless)
    findings = watched(lab, lambda: lab.hvo.restore_folio(lab.pools[0].h, folio))
    assert any("content of a folio's head page changed" in finding.what for finding in findings)
