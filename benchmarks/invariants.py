"""All invariants that are states, over a machine of 1 TiB whose 524,288 folios are optimized."""

from __future__ import annotations

from benchmarks.processes import measure, series
from benchmarks.report import Bar, Result

_FOLIOS, _QUICK_FOLIOS = 524_288, 32_768
_REPETITIONS = 3
_SECONDS = 30.0


def run(*, quick: bool) -> Result:
    """Measure; the bar is the same for the quick run, which is smaller."""
    folios = _QUICK_FOLIOS if quick else _FOLIOS
    runs = [measure(["-m", "benchmarks.invariants_run", str(folios)]) for _ in range(_REPETITIONS)]
    check = series("check", "s", runs, "check_s")
    peak = series("peak", "MB", runs, "peak_mb")
    note = f"{folios:,} folios; building and optimizing are not timed. A broken entry is found afterwards."
    return Result("invariants", (check, peak), (Bar(f"{folios:,} folios, seconds", check.median, _SECONDS),), (note,))
