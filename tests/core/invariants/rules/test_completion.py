# SPDX-License-Identifier: GPL-2.0-only
"""An operation that does not end by itself."""

from __future__ import annotations

from hvolab.invariants import Monitor
from hvolab.invariants.rules.completion import COMPLETION
from hvolab.trace import Batch, FolioStep, Stopped
from tests.core.invariants.mutants import SMALL, pools


def test_the_finding_names_folio_steps_and_function() -> None:
    machine = pools(SMALL).machine
    folio = machine.struct_pages.va(0x1000)
    monitor = Monitor(machine)
    for event in (Batch("optimize.begin"), FolioStep("optimize.begin", folio), Stopped("BUG(): x", "f() < g()")):
        monitor(event)
    (finding,) = monitor.findings
    assert (finding.rule, finding.number, finding.what) == ("completion", 13, "BUG(): x")
    steps = "batch optimize.begin, optimize.begin of folio PFN 0x1000"
    assert finding.where == f"folio PFN 0x1000; after {steps}; in f() < g()"


def test_the_folio_at_fault_comes_first_and_else_the_last() -> None:
    machine = pools(SMALL).machine
    monitor = Monitor(machine, [COMPLETION])
    for event in (
        FolioStep("restore.end", machine.struct_pages.va(0x1000), -12),
        Stopped("x", "f()", machine.struct_pages.va(0x1200)),
        Batch("restore.end"),
        Stopped("y", "f()"),
    ):
        monitor(event)
    first, second = (finding.where for finding in monitor.findings)
    assert first == "folio PFN 0x1200; after restore.end of folio PFN 0x1000 (-12); in f()"
    assert second == "folio PFN 0x1000; after restore.end of folio PFN 0x1000 (-12), batch restore.end; in f()"
