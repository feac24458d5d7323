# SPDX-License-Identifier: GPL-2.0-only
"""Cost of the tests for listeners where there are none: hvolab unchanged, against hvolab without these tests."""

from __future__ import annotations

from benchmarks.processes import in_turn, series
from benchmarks.report import Bar, Result

_FOLIOS, _QUICK_FOLIOS = 65_536, 8_192
_REPETITIONS, _QUICK_REPETITIONS = 7, 3


def run(*, quick: bool) -> Result:
    """Measure both in turn."""
    folios = _QUICK_FOLIOS if quick else _FOLIOS
    command = ["-m", "benchmarks.scale_run", str(folios)]
    commands = {"unchanged": command, "without trace points": [*command, "--without-trace"]}
    runs = in_turn(commands, _QUICK_REPETITIONS if quick else _REPETITIONS)
    found, bars = [], []
    for name in ("optimize", "restore"):
        whole, cut = (series(f"{name}, {who}", "µs/folio", runs[who], f"{name}_us") for who in commands)
        found += [whole, cut]
        difference = whole.median - cut.median
        bars.append(
            Bar(f"{name}: difference of medians, against the spread", difference, max(whole.spread, cut.spread))
        )
    note = (
        f"{folios:,} folios, each run in a process of its own. Without trace points: each test of the list of listeners"
        " is replaced by False before the source is compiled."
    )
    return Result("listening", tuple(found), tuple(bars), (note,))
