# SPDX-License-Identifier: GPL-2.0-only
"""Report of broken rules and of kinds of differences."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from hvolab_kernel.comparison.broken_rules import BrokenRule
from hvolab_kernel.comparison.comparer import CaseResult, ComparisonCase, KernelComparison
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.judgment import KernelFindings
from hvolab_kernel.comparison.rules_report import breaches_of, breaches_view, kinds_view
from tests.machines import x86_64
from tests.plugins.hvolab_kernel.comparison.test_sweep import Countdown


def compared(*results: CaseResult) -> KernelComparison[Any]:
    comparison: KernelComparison[Any] = KernelComparison(KernelFindings(x86_64(), lambda: x86_64().release.struct_page))
    for number, result in enumerate(results, start=1):
        comparison.add(ComparisonCase(Countdown("2M boot: optimize", 1), (number,)), result)
    return comparison


def shown(view: object) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(view)
    return " ".join(capture.get().split())


def test_breaches_of_one_kind_are_counted_and_known_ones_come_last() -> None:
    known = BrokenRule("content", "tail 1 is wrong", known="the image's own code breaks it as well")
    lost = [BrokenRule("ownership", f"{count} frames are lost", "PFN 0x1", "f+0x1 (mm/x.c:7)") for count in (1, 2)]
    result = compared(CaseResult((), 1, 1, broken=(known, lost[0])), CaseResult((), 1, 1, broken=(lost[1],)))
    breaches = breaches_of(result)
    assert [(one.rule, one.cases) for one in breaches] == [("ownership", 2), ("content", 1)]
    assert len(result.breaking) == 2
    assert not result.clean
    text = shown(breaches_view(breaches))
    assert "broken ownership: 1 frames are lost PFN 0x1 code: f+0x1 (mm/x.c:7) in 2 cases, the first: 2M boot" in text
    assert "known content: tail 1 is wrong, in 1 cases: the image's own code" in text
    assert breaches[0].code == "f+0x1 (mm/x.c:7)"


def test_known_breaches_alone_are_clean() -> None:
    known = BrokenRule("content", "tail 1 is wrong", known="known fault of the release: copies")
    assert compared(CaseResult((), 1, 1, broken=(known,))).clean


def test_differences_are_counted_by_kind() -> None:
    order = [StateDifference(f"outside call {n} of optimize(0)", f"free(PFN {n:#x})", "free(PFN 0x9)") for n in (1, 2)]
    flag = StateDifference("result of restore(0)", "-12", "0")
    result = compared(CaseResult((order[0], flag), 1, 1), CaseResult((order[1],), 1, 1))
    text = shown(kinds_view(result))
    assert "outside call … of optimize(…) 2 free(PFN 0x1)" in text
    assert "result of restore(…) 1 -12 0" in text
