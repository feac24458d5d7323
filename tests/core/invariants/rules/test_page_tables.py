# SPDX-License-Identifier: GPL-2.0-only
"""Mutants whose page tables are not marked."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.hvo.walk import VmemmapWalker
from hvolab.release.releases import V6_12, V7_2
from tests.core.invariants.mutants import broken, grown, pools_of, watched


@pytest.mark.parametrize(("release", "expected"), [(V7_2, {"page_tables"}), (V6_12, set())], ids=str)
def test_a_page_table_without_marks_breaks_rule_25(
    monkeypatch: pytest.MonkeyPatch, release: Any, expected: set[str]
) -> None:
    monkeypatch.setattr(VmemmapWalker, "_mark_table", lambda *_: None)
    lab = pools_of(release)
    findings = watched(lab, lambda: grown(lab, 1))
    assert broken(findings) == expected
    whats = {finding.what for finding in findings}
    assert (whats != set()) is bool(expected)
    assert all(what.startswith("a page table is in use, and ") for what in whats)
    assert len(whats) == 2 * len(expected)
