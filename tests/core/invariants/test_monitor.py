"""A monitor sees every event of a right engine and reports nothing."""

from __future__ import annotations

from hvolab.invariants import Monitor
from tests.core.invariants.mutants import SMALL, pools


def test_the_right_engine_breaks_nothing() -> None:
    lab = pools(SMALL)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        for count in (3, 1, 4, 0):
            lab.pools[0].set_max_huge_pages(count)
            assert not lab.findings()
    assert not monitor.findings
    assert monitor.events > 100
