# SPDX-License-Identifier: GPL-2.0-only
"""All invariants that are states, on a machine of 1 TiB whose 524,288 folios are optimized, against a bare loop."""

from __future__ import annotations

from benchmarks.processes import measure, series
from benchmarks.report import Bar, Result, Series

_FOLIOS, _QUICK_FOLIOS = 524_288, 32_768
_REPETITIONS = 3
#: Limit of the check's CPU time, as a multiple of the loop's.
_LIMIT = 8.0


def run(*, quick: bool) -> Result:
    """Measure the check and the loop in the same process; the bar is the same for the quick run, which is smaller."""
    folios = _QUICK_FOLIOS if quick else _FOLIOS
    runs = [measure(["-m", "benchmarks.invariants_run", str(folios)]) for _ in range(_REPETITIONS)]
    check, loop = series("check, CPU time", "s", runs, "check_s"), series("loop, CPU time", "s", runs, "loop_s")
    peak = series("peak", "MB", runs, "peak_mb")
    ratios = Series("check / loop", "ratio", tuple(run["check_s"] / run["loop_s"] for run in runs))
    note = (
        f"{folios:,} folios; building and optimizing are not timed. A broken entry is found afterwards. The loop reads"
        " the eight entries of each folio, and the page with its head's struct page."
    )
    return Result("invariants", (check, loop, ratios, peak), (Bar(ratios.name, ratios.median, _LIMIT),), (note,))
