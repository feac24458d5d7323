"""Mutants that break the invariant: static key."""

from __future__ import annotations

import pytest

from hvolab.machine.frames.failure import FailFrom
from tests.core.invariants.mutants import SMALL, broken, pools


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
