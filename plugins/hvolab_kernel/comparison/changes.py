# SPDX-License-Identifier: GPL-2.0-only
"""Changes from one comparison to another of the same scenarios: cases, kinds of differences, and findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from hvolab_kernel.comparison.comparer import ComparisonCase, KernelComparison
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.rules_report import breaches_of

#: Numbers in a difference, by which cases of one kind differ.
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\b\d+\b")
#: Kinds and scenarios that are listed.
_LISTED: Final = 6

_Case = ComparisonCase[Any]
_Differences = tuple[StateDifference, ...]


@dataclass(frozen=True)
class ComparisonChanges:
    """Changes from one comparison to another.

    differing   cases that differ and did not before
    agreeing    cases that agree and did not before
    otherwise   cases that differ in another way
    found, gone findings and broken rules that are new, and that are there no longer
    """

    differing: dict[_Case, _Differences]
    agreeing: tuple[_Case, ...]
    otherwise: dict[_Case, _Differences]
    found: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.differing or self.agreeing or self.otherwise or self.found or self.gone)


def changes_between(before: KernelComparison[Any] | None, after: KernelComparison[Any]) -> ComparisonChanges:
    """Return the changes from a comparison to another; before None: all that it has is new."""
    old = {} if before is None else before.disagreements
    new = after.disagreements
    return ComparisonChanges(
        {case: differences for case, differences in new.items() if case not in old},
        tuple(case for case in old if case not in new),
        {case: differences for case, differences in new.items() if case in old and old[case] != differences},
        *found_and_gone(before, after),
    )


def found_and_gone(
    before: KernelComparison[Any] | None, after: KernelComparison[Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the findings and broken rules that are new, and those that are gone; numbers in them do not matter."""
    old, new = ({} if one is None else _broken(one) for one in (before, after))
    found = tuple(text for kind, text in new.items() if kind not in old)
    return found, tuple(text for kind, text in old.items() if kind not in new)


def _broken(result: KernelComparison[Any]) -> dict[tuple[str, str], str]:
    """Return a sentence for each finding and each broken rule of a kind, known breaches aside."""
    texts: dict[tuple[str, str], str] = {}
    for breach in breaches_of(result):
        if not breach.known:
            code = f"; code: {breach.code}" if breach.code else ""
            text = f"{breach.rule}: {breach.what}{code}; first in {breach.case}"
            texts.setdefault(_kind(breach.rule, breach.what), text)
    for one in result.findings:
        texts.setdefault(_kind(one.rule, one.what), f"invariant {one.number}, {one.invariant.title}: {one.what}")
    return texts


def _kind(rule: str, what: str) -> tuple[str, str]:
    """Return what breaches of one kind have in common: the rule, and the text without its numbers and counts."""
    return rule, _NUMBER.sub("N", what.partition(";")[0].partition(": ")[0])


def kinds_of(differences: Iterable[Sequence[StateDifference]]) -> Counter[str]:
    """Return the kinds of differences in cases: their texts without numbers, by the number of cases."""
    return Counter(kind for case in differences for kind in {_NUMBER.sub("N", one.what) for one in case})


def changes_text(changes: ComparisonChanges) -> Text:
    """Return the changes for people, by kind, with the first case of those that differ."""
    lines = [*_cases("differ that agreed", changes.differing), *_cases("differ in another way", changes.otherwise)]
    if changes.agreeing:
        lines.append((f"{len(changes.agreeing)} cases agree that differed: {_scenarios(changes.agreeing)}", "green"))
    lines += [(f"new: {one}", "red") for one in changes.found]
    lines += [(f"gone: {one}", "green") for one in changes.gone]
    return Text.assemble(*((f"{line}\n", style) for line, style in lines)) if lines else Text("no change\n", "green")


def _cases(how: str, cases: dict[_Case, _Differences]) -> list[tuple[str, str]]:
    if not cases:
        return []
    kinds = [f"{kind} ({count})" for kind, count in kinds_of(cases.values()).most_common(_LISTED)]
    case, (first, *_) = next(iter(cases.items()))
    return [
        (f"{len(cases)} cases {how}: {_scenarios(cases)}", "bold red"),
        (f"  by kind: {', '.join(kinds)}", ""),
        (f"  first: {case}: {first.what}: {first.kernel or 'none'}, not {first.engine or 'none'}", ""),
    ]


def _scenarios(cases: Iterable[_Case]) -> str:
    counts = Counter(case.scenario.name for case in cases)
    more = f", and {len(counts) - _LISTED} more scenarios" if len(counts) > _LISTED else ""
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(_LISTED)) + more


def changes_data(changes: ComparisonChanges) -> dict[str, Any]:
    """Return the changes as data."""
    return {
        "differing": [str(case) for case in changes.differing],
        "agreeing": [str(case) for case in changes.agreeing],
        "otherwise": [str(case) for case in changes.otherwise],
        "kinds": dict(kinds_of([*changes.differing.values(), *changes.otherwise.values()])),
        "found": list(changes.found),
        "gone": list(changes.gone),
    }
