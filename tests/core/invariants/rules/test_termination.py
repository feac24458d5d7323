"""Mutants that break the invariant: termination."""

from __future__ import annotations

import pytest

from hvolab.invariants import EndlessLoopError, Monitor
from hvolab.machine.frames.failure import FailFrom
from tests.core.invariants.mutants import SMALL, broken, grown, pools


def test_an_error_path_that_keeps_its_list_breaks_rule_10(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    monkeypatch.setattr(lab.pools[0], "_bulk_restore_error", lambda *_: None)
    lab.frames.failure = FailFrom(1)
    monitor = Monitor(lab.machine)
    with monitor.watch(), pytest.raises(EndlessLoopError):
        lab.pools[0].set_max_huge_pages(0)
    assert broken(monitor.findings) == {"termination"}
