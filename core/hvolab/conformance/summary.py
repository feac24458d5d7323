"""The scored summary that closes a run of the kit: by architecture and mode, and what was not proved and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hvolab.conformance.check import CheckStatus
from hvolab.conformance.record import Record
from hvolab.conformance.version import KIT

_VERDICTS = tuple(verdict.value for verdict in CheckStatus)
_WHOLE = "(the whole)"


@dataclass(frozen=True)
class Score:
    """How many checks came to what."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    advisory: int = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Score:
        """Count."""
        found = [record.verdict for record in records]
        return cls(**{verdict: found.count(verdict) for verdict in _VERDICTS})

    @property
    def made(self) -> int:
        """Checks that could be made."""
        return self.passed + self.failed + self.advisory

    @property
    def percent(self) -> float:
        """Checks passed of those that could be made, in percent, rounded down: 100 means all."""
        return 1000 * self.passed // self.made / 10 if self.made else 0.0

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return {verdict: getattr(self, verdict) for verdict in _VERDICTS}


@dataclass(frozen=True)
class Summary:
    """Everything that one run found, in the order in which it was found."""

    records: tuple[Record, ...]

    @classmethod
    def of(cls, data: Iterable[dict[str, Any]]) -> Summary:
        """From the records that the tests carry."""
        return cls(tuple(map(Record.from_dict, data)))

    def lines(self) -> Iterator[str]:
        """The summary for people."""
        for architecture, records in _grouped(self.records, lambda record: record.architecture):
            score = Score.of(records)
            yield (
                f"{architecture}: {score.passed} of {score.made} checks passed ({score.percent:g} %), "
                f"{score.failed} failed, {score.advisory} advisory, {score.skipped} skipped "
                f"(kit {KIT}, plugin for {records[0].written_for})"
            )
            yield from _table(records)
            yield from _not_proved(records)
            yield from _told(records, CheckStatus.FAILED, "failed")
            yield from _told(records, CheckStatus.ADVISORY, f"advisory, new in kit {KIT}")

    def as_dict(self) -> dict[str, Any]:
        """The summary for JSON."""
        return {
            "kit": KIT,
            "architectures": [
                {
                    "architecture": architecture,
                    "written_for": records[0].written_for,
                    **Score.of(records).as_dict(),
                    "percent": Score.of(records).percent,
                    "modes": {mode: Score.of(of_mode).as_dict() for mode, of_mode in _grouped(records, _mode_of)},
                    "capabilities_missing": {
                        capability: Score.of(skipped).skipped
                        for capability, skipped in _grouped(_skipped(records), _needs)
                    },
                    "checks": [record.as_dict() for record in records],
                }
                for architecture, records in _grouped(self.records, lambda record: record.architecture)
            ],
        }

    def write(self, path: str) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="ascii")


def _mode_of(record: Record) -> str:
    return record.mode or _WHOLE


def _needs(record: Record) -> str:
    return record.capability


def _skipped(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.verdict == CheckStatus.SKIPPED.value]


def _grouped(records: Iterable[Record], key: Any) -> list[tuple[str, list[Record]]]:
    """The records by ``key``, in the order in which each key is first met."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.items())


def _table(records: list[Record]) -> Iterator[str]:
    """A line for each mode."""
    modes = _grouped(records, _mode_of)
    width = max(len(mode) for mode, _ in modes)
    yield "  " + " ".join([f"{'mode':<{width}}", *(f"{verdict:>8}" for verdict in _VERDICTS)])
    for mode, found in modes:
        counts = Score.of(found).as_dict()
        yield "  " + " ".join([f"{mode:<{width}}", *(f"{counts[verdict]:>8}" for verdict in _VERDICTS)])


def _not_proved(records: list[Record]) -> Iterator[str]:
    """What was skipped: by capability, and below it each reason, with the checks and how often."""
    for capability, skipped in _grouped(_skipped(records), _needs):
        yield f"  not proved without {capability}:"
        for reason, alike in _grouped(skipped, lambda record: record.reason):
            names = ", ".join(dict.fromkeys(record.check for record in alike))
            yield f"    {len(alike)} x {names}"
            yield f"      {reason}"


def _told(records: list[Record], verdict: CheckStatus, title: str) -> Iterator[str]:
    """The names of the checks that came to ``verdict``, and for what."""
    found = [record for record in records if record.verdict == verdict.value]
    for check, alike in _grouped(found, lambda record: record.check):
        where = ", ".join(record.subject or _WHOLE for record in alike)
        yield f"  {title}: {check} ({where})"
