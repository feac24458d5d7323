# SPDX-License-Identifier: GPL-2.0-only
"""Scored summary at the end of a run of the kit: by architecture and mode, with the reasons of skips and failures.

Reports are in the order in which a porter meets their subjects, whatever the order in which checks were made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Self

from hvolab.conformance.check import KNOWN_BYTES_NAME, KNOWN_ENTRIES_NAME, KNOWN_FIGURES_NAME, CheckOutcome, CheckStatus
from hvolab.conformance.version import KIT
from hvolab.serialize import as_data

_WHOLE = "(the whole)"
#: Slips with which a description agrees with itself.
_ONLY_KNOWN_VALUES_SHOW = (
    "wrong bases, low bits of table entries, a dirty flag in PAGE_KERNEL_RO, read and write interchanged"
)
_Outcomes = list[CheckOutcome]


@dataclass(frozen=True)
class Score:
    """Number of checks with each result."""

    passed: int
    failed: int
    skipped: int
    absent: int
    blocked: int
    advisory: int

    @classmethod
    def of(cls, outcomes: _Outcomes) -> Self:
        """Return the score of outcomes."""
        found = [outcome.verdict for outcome in outcomes]
        return cls(**{verdict.value: found.count(verdict) for verdict in CheckStatus})

    @property
    def made(self) -> int:
        """Number of checks that were not skipped."""
        return self.passed + self.failed + self.advisory

    @property
    def percent(self) -> float:
        """Checks passed of those that were not skipped, in percent, rounded down: 100 means all."""
        return 1000 * self.passed // self.made / 10 if self.made else 0.0


@dataclass(frozen=True)
class ArchitectureSummary(Score):
    """Outcomes of one architecture.

    written_for                     release of the kit that the plugin was written for
    modes_without_reference_values  modes of which nothing is held against values that are known from elsewhere
    modes                           score of each mode, and of the whole
    capabilities_missing            for each capability that the plugin lacks, the number of checks skipped
    percent                         checks passed of those that were not skipped, rounded down
    """

    also_in_data: ClassVar = ("percent",)
    architecture: str
    written_for: str
    modes_without_reference_values: tuple[str, ...]
    modes: dict[str, Score]
    capabilities_missing: dict[str, int]
    checks: tuple[CheckOutcome, ...]


@dataclass(frozen=True)
class ConformanceReport:
    """Result of `hvolab conformance`.

    kit       release of the kit
    errors    errors of tests without an outcome
    complete  whether all tests were run
    """

    kit: str
    architectures: tuple[ArchitectureSummary, ...]
    errors: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class Summary:
    """Outcomes of one run, in the order of the checks in the kit."""

    outcomes: tuple[CheckOutcome, ...]

    @classmethod
    def of(cls, data: Iterable[dict[str, Any]]) -> Summary:
        """Return the summary of the outcomes that the tests carry."""
        return cls(tuple(sorted(map(CheckOutcome.from_data, data), key=attrgetter("position"))))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the printed summary."""
        for architecture, found in _grouped(self.outcomes, attrgetter("architecture")):
            score, unreferenced = Score.of(found), _unreferenced(found)
            percent = "" if unreferenced else f" ({score.percent:g} %)"
            counts = (score.blocked, "blocked"), (score.absent, "absent")
            blocked = "".join(f"{count} {name}, " for count, name in counts if count)
            without = f"{len(unreferenced)} mode{'s' * (len(unreferenced) != 1)} without reference values, "
            yield (
                f"{architecture}: {score.passed} of {score.made} checks passed{percent}, "
                f"{without * bool(unreferenced)}{score.failed} failed, "
                f"{blocked}{score.advisory} advisory, {score.skipped} skipped "
                f"(kit {KIT}, plugin for {found[0].written_for})"
            )
            yield from _unfit(found)
            yield from _unseen(found, unreferenced)
            yield from _failures(found, CheckStatus.FAILED, "failed")
            yield from _blocked_by_others(found)
            yield from _failures(found, CheckStatus.ADVISORY, f"advisory, new in kit {KIT}")
            yield from _table(found)
            yield from _not_proved(found)
            yield from _absent(found)

    def report(self, errors: Sequence[str] = (), *, complete: bool = True) -> ConformanceReport:
        """Return the summary for JSON, with the errors of tests without an outcome, and whether all tests were run."""
        architectures = (_of_architecture(found) for _, found in _grouped(self.outcomes, attrgetter("architecture")))
        return ConformanceReport(KIT, tuple(architectures), tuple(errors), complete)

    def write(self, path: str, errors: Sequence[str] = (), *, complete: bool = True) -> None:
        """Write the report as JSON."""
        content = as_data(self.report(errors, complete=complete))
        Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")


def _of_architecture(found: _Outcomes) -> ArchitectureSummary:
    """Return the outcomes of one architecture for JSON."""
    return ArchitectureSummary(
        **vars(Score.of(found)),
        architecture=found[0].architecture,
        written_for=found[0].written_for,
        modes_without_reference_values=tuple(_unreferenced(found)),
        modes={mode: Score.of(of_mode) for mode, of_mode in _grouped(found, _mode_of)},
        capabilities_missing={
            capability: len(skipped) for capability, skipped in _grouped(_skipped(found), attrgetter("capability"))
        },
        checks=tuple(found),
    )


def _unreferenced(outcomes: _Outcomes) -> list[str]:
    """Return the modes of which nothing is held against values that are known from elsewhere."""
    missing = {KNOWN_ENTRIES_NAME, KNOWN_FIGURES_NAME}
    return list(dict.fromkeys(outcome.mode for outcome in outcomes if outcome.mode and outcome.capability in missing))


def _unfit(outcomes: _Outcomes) -> Iterator[str]:
    """Yield why HVO is not for a kernel of this description, for each reason once."""
    for why, same in _grouped((one for one in outcomes if one.unfit and not one.choice), attrgetter("reason")):
        modes = ", ".join(dict.fromkeys(outcome.mode for outcome in same))
        yield f"  HVO is not for this kernel, {modes}: {why.partition(': ')[2]}"


def _absent(outcomes: _Outcomes) -> Iterator[str]:
    """Yield what the description lacks on purpose."""
    found = (outcome for outcome in outcomes if outcome.verdict is CheckStatus.ABSENT)
    for capability, same in _grouped(found, attrgetter("capability")):
        yield f"  {capability}: {same[0].reason}"


def _unseen(outcomes: _Outcomes, unreferenced: Sequence[str]) -> Iterator[str]:
    """Yield what no check of these could see: slips that only reference values show."""
    if unreferenced:
        yield f"  not seen in {', '.join(unreferenced)}, which have no reference values: {_ONLY_KNOWN_VALUES_SHOW}"
    if any(outcome.capability == KNOWN_BYTES_NAME for outcome in outcomes):
        yield "  not seen: a wrong byte order of entries, as no example is given as bytes"
    noted = dict.fromkeys(outcome.reason for outcome in outcomes if outcome.verdict is CheckStatus.PASSED)
    yield from (f"  not seen: a slip in one of them, as {reason}" for reason in noted if reason)


def _mode_of(outcome: CheckOutcome) -> str:
    return outcome.mode or _WHOLE


def _skipped(outcomes: _Outcomes) -> _Outcomes:
    return [outcome for outcome in outcomes if outcome.verdict is CheckStatus.SKIPPED]


def _grouped(outcomes: Iterable[CheckOutcome], key: Callable[[CheckOutcome], str]) -> list[tuple[str, _Outcomes]]:
    """Return the outcomes by key, in the order of the first of each."""
    groups: dict[str, _Outcomes] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return list(groups.items())


def _table(outcomes: _Outcomes) -> Iterator[str]:
    """Yield a line for each mode."""
    modes = _grouped(outcomes, _mode_of)
    width = max(len(mode) for mode, _ in modes)
    yield "  " + " ".join([f"{'mode':<{width}}", *(f"{verdict.value:>8}" for verdict in CheckStatus)])
    for mode, found in modes:
        yield "  " + " ".join([f"{mode:<{width}}", *(f"{count:>8}" for count in vars(Score.of(found)).values())])


def _not_proved(outcomes: _Outcomes) -> Iterator[str]:
    """Yield the skips: by capability, and for each reason the checks and their number."""
    for capability, skipped in _grouped(_skipped(outcomes), attrgetter("capability")):
        yield f"  not proved without {capability}:"
        for reason, same in _grouped(skipped, attrgetter("reason")):
            names = ", ".join(dict.fromkeys(outcome.check for outcome in same))
            yield f"    {len(same)} x {names}"
            yield f"      {reason}"


def _failures(outcomes: _Outcomes, verdict: CheckStatus, title: str) -> Iterator[str]:
    """Yield the checks with that result: subjects, sentence, first reason, and the checks that it blocks."""
    found = [outcome for outcome in outcomes if outcome.verdict is verdict]
    for check, same in _grouped(found, attrgetter("check")):
        yield f"  {title}: {check} ({', '.join(outcome.subject or _WHOLE for outcome in same)})"
        yield f"      {same[0].proves}"
        yield f"      {same[0].reason}"
        blocked = dict.fromkeys(one.check for one in outcomes if _is_blocked_by(one, check) and one.check != check)
        if blocked:
            yield f"      {len(blocked)} other checks fail too, and are blocked by it: {', '.join(blocked)}"


def _blocked_by_others(outcomes: _Outcomes) -> Iterator[str]:
    """Yield the checks that rest on one that was not made in this run."""
    made = {outcome.check for outcome in outcomes}
    found = [one for one in outcomes if one.verdict is CheckStatus.BLOCKED and one.capability not in made]
    for check, same in _grouped(found, attrgetter("check")):
        yield f"  blocked: {check} ({', '.join(outcome.subject or _WHOLE for outcome in same)})"
        yield f"      {same[0].reason}"


def _is_blocked_by(outcome: CheckOutcome, check: str) -> bool:
    return outcome.verdict is CheckStatus.BLOCKED and outcome.capability == check
