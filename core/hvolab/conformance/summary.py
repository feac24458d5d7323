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
from typing import Any

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
            score, unreferenced = _score(found), _unreferenced(found)
            percent = "" if unreferenced else f" ({_percent(score):g} %)"
            blocked = "".join(f"{score[name]} {name}, " for name in ("blocked", "absent") if score[name])
            without = f"{len(unreferenced)} mode{'s' * (len(unreferenced) != 1)} without reference values, "
            yield (
                f"{architecture}: {score['passed']} of {_made(score)} checks passed{percent}, "
                f"{without * bool(unreferenced)}{score['failed']} failed, "
                f"{blocked}{score['advisory']} advisory, {score['skipped']} skipped "
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

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for JSON."""
        return {
            "kit": KIT,
            "architectures": [
                {
                    "architecture": architecture,
                    "written_for": found[0].written_for,
                    **_score(found),
                    "percent": _percent(_score(found)),
                    "modes_without_reference_values": _unreferenced(found),
                    "modes": {mode: _score(of_mode) for mode, of_mode in _grouped(found, _mode_of)},
                    "capabilities_missing": {
                        capability: len(skipped)
                        for capability, skipped in _grouped(_skipped(found), attrgetter("capability"))
                    },
                    "checks": as_data(found),
                }
                for architecture, found in _grouped(self.outcomes, attrgetter("architecture"))
            ],
        }

    def write(self, path: str, errors: Sequence[str] = (), *, complete: bool = True) -> None:
        """Write the summary as JSON, with the errors of tests without an outcome, and whether all tests were run."""
        content = {**self.as_dict(), "errors": list(errors), "complete": complete}
        Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")


def _score(outcomes: _Outcomes) -> dict[str, int]:
    """Return the number of checks with each result."""
    found = [outcome.verdict for outcome in outcomes]
    return {verdict.value: found.count(verdict) for verdict in CheckStatus}


def _made(score: dict[str, int]) -> int:
    """Return the number of checks that were not skipped."""
    return score["passed"] + score["failed"] + score["advisory"]


def _percent(score: dict[str, int]) -> float:
    """Return the checks passed of those that were not skipped, in percent, rounded down: 100 means all."""
    return 1000 * score["passed"] // _made(score) / 10 if _made(score) else 0.0


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
        yield "  " + " ".join([f"{mode:<{width}}", *(f"{count:>8}" for count in _score(found).values())])


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
