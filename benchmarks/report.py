# SPDX-License-Identifier: GPL-2.0-only
"""Results of benchmarks: series of measurements, the bars that they must meet, and their printing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


class BenchmarkError(Exception):
    """A benchmark could not measure, or measured something that did not happen."""


@dataclass(frozen=True)
class Series:
    """One figure, measured several times.

    name    what was measured
    unit    of the values
    values  one for each repetition
    """

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median: the value to quote."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """The greatest value less the least."""
        return max(self.values) - min(self.values)


@dataclass(frozen=True)
class Bar:
    """A limit that a figure must keep.

    what      the figure, in words
    value     what was measured
    limit     at most this, or at least where ``at_least``
    at_least  which of the two
    """

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """True if the figure keeps the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Result:
    """Result of one benchmark; ``notes`` describe exactly what was timed."""

    name: str
    series: tuple[Series, ...]
    bars: tuple[Bar, ...]
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """True if every bar is met."""
        return all(bar.met for bar in self.bars)


def show(console: Console, result: Result) -> None:
    """Print the series, the bars and the notes of one benchmark."""
    figures = Table("figure", "unit", "min", "median", "max", "runs", title=result.name, title_justify="left")
    for series in result.series:
        numbers = (min(series.values), series.median, max(series.values))
        figures.add_row(series.name, series.unit, *map(_number, numbers), str(len(series.values)))
    console.print(figures)
    bars = Table("bar", "measured", "limit", "verdict")
    for bar in result.bars:
        sign, verdict = ("≥" if bar.at_least else "≤"), ("[green]met[/]" if bar.met else "[red]missed[/]")
        bars.add_row(bar.what, _number(bar.value), f"{sign} {_number(bar.limit)}", verdict)
    console.print(bars)
    for note in result.notes:
        console.print(f"  {note}", highlight=False)


def as_json(result: Result) -> dict[str, Any]:
    """Return the result as plain data."""
    return {
        "name": result.name,
        "met": result.met,
        "series": [
            {
                "name": series.name,
                "unit": series.unit,
                "min": min(series.values),
                "median": series.median,
                "max": max(series.values),
                "values": list(series.values),
            }
            for series in result.series
        ],
        "bars": [
            {"what": bar.what, "value": bar.value, "limit": bar.limit, "at_least": bar.at_least, "met": bar.met}
            for bar in result.bars
        ],
        "notes": list(result.notes),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
