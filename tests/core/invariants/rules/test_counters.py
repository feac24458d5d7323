"""Mutants that break the invariant: counters."""

from __future__ import annotations

import pytest

from tests.core.invariants.mutants import SMALL, broken, grown, pools


def test_a_page_freed_without_being_counted_breaks_rule_3(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.machine, "memmap_boot_pages_add", lambda _: None)
    grown(lab)
    assert "counters" in broken(lab.findings())
