# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariant: pool."""

from __future__ import annotations

import pytest

from hvolab.machine.frames.failure import FailFrom
from tests.core.invariants.mutants import SMALL, broken, grown, pools


def test_a_folio_lost_when_its_restore_fails_breaks_rule_7(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    monkeypatch.setattr(lab.pools[0], "add", lambda *_, **__: None)
    lab.frames.failure = FailFrom(1)
    lab.pools[0].set_max_huge_pages(1)
    assert "pool" in broken(lab.findings())
