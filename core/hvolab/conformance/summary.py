"""Scored summary at the end of a run of the kit: by architecture and mode, with the reasons of skips and failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hvolab.conformance.check import CheckStatus
from hvolab.conformance.record import Record
from hvolab.conformance.version import KIT
from hvolab.serialize import as_data

_VERDICTS = tuple(verdict.value for verdict in CheckStatus)
_WHOLE = "(the whole)"


@dataclass(frozen=True)
class Score:
    """Number of checks with each result."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    advisory: int = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Score:
        """Count the results."""
        found = [record.verdict for record in records]
        return cls(**{verdict: found.count(verdict) for verdict in _VERDICTS})

    @property
    def made(self) -> int:
        """Checks that were not skipped."""
        return self.passed + self.failed + self.advisory

    @property
    def percent(self) -> float:
        """Checks passed of those that were not skipped, in percent, rounded down: 100 means all."""
        return 1000 * self.passed // self.made / 10 if self.made else 0.0


@dataclass(frozen=True)
class Summary:
    """Records of one run, in the order of the checks."""

    records: tuple[Record, ...]

    @classmethod
    def of(cls, data: Iterable[dict[str, Any]]) -> Summary:
        """Return the summary of the records that the tests carry."""
        return cls(tuple(map(Record.from_dict, data)))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the printed summary."""
        for architecture, records in _grouped(self.records, _architecture_of):
            score = Score.of(records)
            yield (
                f"{architecture}: {score.passed} of {score.made} checks passed ({score.percent:g} %), "
                f"{score.failed} failed, {score.advisory} advisory, {score.skipped} skipped "
                f"(kit {KIT}, plugin for {records[0].written_for})"
            )
            yield from _table(records)
            yield from _not_proved(records)
            yield from _failures(records, CheckStatus.FAILED, "failed")
            yield from _failures(records, CheckStatus.ADVISORY, f"advisory, new in kit {KIT}")

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for JSON."""
        return {
            "kit": KIT,
            "architectures": [
                {
                    "architecture": architecture,
                    "written_for": records[0].written_for,
                    **as_data(Score.of(records)),
                    "percent": Score.of(records).percent,
                    "modes": {mode: as_data(Score.of(found)) for mode, found in _grouped(records, _mode_of)},
                    "capabilities_missing": {
                        capability: len(skipped) for capability, skipped in _grouped(_skipped(records), _capability_of)
                    },
                    "checks": as_data(records),
                }
                for architecture, records in _grouped(self.records, _architecture_of)
            ],
        }

    def write(self, path: str) -> None:
        """Write the summary as JSON."""
        Path(path).write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="ascii")


def _architecture_of(record: Record) -> str:
    return record.architecture


def _mode_of(record: Record) -> str:
    return record.mode or _WHOLE


def _capability_of(record: Record) -> str:
    return record.capability


def _skipped(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.verdict == CheckStatus.SKIPPED.value]


def _grouped(records: Iterable[Record], key: Callable[[Record], str]) -> list[tuple[str, list[Record]]]:
    """Return the records by key, in the order of the first record of each."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.items())


def _table(records: list[Record]) -> Iterator[str]:
    """Yield a line for each mode."""
    modes = _grouped(records, _mode_of)
    width = max(len(mode) for mode, _ in modes)
    yield "  " + " ".join([f"{'mode':<{width}}", *(f"{verdict:>8}" for verdict in _VERDICTS)])
    for mode, found in modes:
        counts = as_data(Score.of(found))
        yield "  " + " ".join([f"{mode:<{width}}", *(f"{counts[verdict]:>8}" for verdict in _VERDICTS)])


def _not_proved(records: list[Record]) -> Iterator[str]:
    """Yield the skips: by capability, and for each reason the checks and their number."""
    for capability, skipped in _grouped(_skipped(records), _capability_of):
        yield f"  not proved without {capability}:"
        for reason, same in _grouped(skipped, lambda record: record.reason):
            names = ", ".join(dict.fromkeys(record.check for record in same))
            yield f"    {len(same)} x {names}"
            yield f"      {reason}"


def _failures(records: list[Record], verdict: CheckStatus, title: str) -> Iterator[str]:
    """Yield the checks with that result, and their subjects."""
    found = [record for record in records if record.verdict == verdict.value]
    for check, same in _grouped(found, lambda record: record.check):
        yield f"  {title}: {check} ({', '.join(record.subject or _WHOLE for record in same)})"
