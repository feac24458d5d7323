"""Mutants that break the invariant: flushes."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.hvo import Hvo, VmemmapPageAllocator
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched


class ForgetfulFlags(Hvo):
    """Waits for a grace period for each folio of a batch."""

    def _optimize(self, h: Any, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        return super()._optimize(h, folio, pages, flags | 4)


def test_a_grace_period_for_each_folio_breaks_rule_11() -> None:
    lab = pools(SMALL)
    lab.pools[0].hvo = ForgetfulFlags(lab.machine)
    assert "flushes" in broken(watched(lab, lambda: grown(lab)))


def test_a_full_flush_for_each_folio_breaks_rule_11(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    split = lab.hvo.split_folio

    def eager(h: Any, folio: int) -> int:
        lab.machine.flush_tlb_all()
        return split(h, folio)

    monkeypatch.setattr(lab.hvo, "split_folio", eager)
    assert "flushes" in broken(watched(lab, lambda: grown(lab)))
