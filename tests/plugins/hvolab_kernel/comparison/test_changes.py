# SPDX-License-Identifier: GPL-2.0-only
"""Changes from one comparison to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from hvolab.invariants import INVARIANTS, Finding
from hvolab_kernel.comparison.broken_rules import BrokenRule
from hvolab_kernel.comparison.changes import changes_between, changes_data, changes_text, kinds_of
from hvolab_kernel.comparison.comparer import ComparisonCase, KernelComparison
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.scenarios import Scenario, scenarios_of
from tests.machines import x86_64


@dataclass
class Result:
    """As much of a comparison as its changes need."""

    disagreements: dict[ComparisonCase[Scenario], tuple[StateDifference, ...]]
    findings: tuple[Finding, ...] = field(default=())
    broken: dict[ComparisonCase[Scenario], tuple[BrokenRule, ...]] = field(default_factory=dict)


def result(
    disagreements: dict[ComparisonCase[Scenario], tuple[StateDifference, ...]], *findings: str
) -> KernelComparison[Any]:
    return cast("KernelComparison[Any]", Result(disagreements, tuple(Finding(INVARIANTS[0], one) for one in findings)))


FIRST, SECOND, THIRD = (ComparisonCase(scenario) for scenario in scenarios_of(x86_64())[:3])
CALL = StateDifference("outside call 3 of optimize(0)", "a", "b")
WORD = StateDifference("PFN 0x12, offset 0x8", "0x0", "0x1")


def test_cases_that_differ_now_or_no_longer_or_in_another_way_are_named() -> None:
    before = result({FIRST: (CALL,), SECOND: (CALL,)}, "a: 3 of 4", "b: 1")
    after = result({SECOND: (WORD,), THIRD: (CALL, WORD)}, "a: 5 of 9", "c: 1")
    changes = changes_between(before, after)
    assert changes
    assert changes_data(changes) == {
        "differing": [str(THIRD)],
        "agreeing": [str(FIRST)],
        "otherwise": [str(SECOND)],
        "kinds": {"outside call N of optimize(N)": 1, "PFN N, offset N": 2},
        "found": [f"invariant 1, {INVARIANTS[0].title}: c: 1"],
        "gone": [f"invariant 1, {INVARIANTS[0].title}: b: 1"],
    }
    text = changes_text(changes).plain
    assert f"1 cases differ that agreed: {THIRD.scenario.name} (1)" in text
    assert f"first: {THIRD}: outside call 3 of optimize(0): a, not b" in text
    assert "1 cases agree that differed" in text
    assert "gone: invariant 1" in text


def test_equal_results_have_no_changes_and_the_first_one_is_new() -> None:
    one = result({FIRST: (CALL,)}, "a: 1")
    assert not changes_between(one, one)
    assert changes_text(changes_between(one, one)).plain == "no change\n"
    first = changes_between(None, one)
    assert (list(first.differing), len(first.found), first.gone) == ([FIRST], 1, ())


def test_kinds_are_counted_by_case() -> None:
    assert kinds_of([(CALL, CALL), (CALL, WORD)]) == {"outside call N of optimize(N)": 2, "PFN N, offset N": 1}


def test_a_rule_that_is_broken_is_named_with_its_code_and_once() -> None:
    after = Result({}, (Finding(INVARIANTS[0], "3 pages"),))
    after.broken[FIRST] = (
        BrokenRule(INVARIANTS[0].name, "4 pages", code="f+0x3 (a.c:5)"),
        BrokenRule("x", "y", known="z"),
    )
    changes = changes_between(result({}), cast("KernelComparison[Any]", after))
    assert changes.found == (f"{INVARIANTS[0].name}: 4 pages; code: f+0x3 (a.c:5); first in {FIRST}",)
