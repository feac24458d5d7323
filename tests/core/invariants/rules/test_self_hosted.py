"""Mutants that break the invariant: self hosted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.errors import OwnershipError
from hvolab.machine import FrameAllocator, VmemmapBacking
from tests.core.invariants.mutants import SMALL, broken, pools


def test_freeing_self_hosted_vmemmap_breaks_rule_9(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(replace(SMALL, vmemmap=VmemmapBacking.SELF_HOSTED))
    monkeypatch.setattr(lab.machine.records, "self_hosted", lambda *_: False)
    start, _ = lab.machine.self_hosted[0]
    folio = lab.machine.struct_pages.va(start + 0x400)
    monkeypatch.setattr(FrameAllocator, "split", lambda *_: None)
    with pytest.raises(OwnershipError):
        lab.hvo.optimize_folio(lab.pools[0].h, folio)
    assert "self_hosted" in broken(lab.findings())
