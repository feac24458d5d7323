# SPDX-License-Identifier: GPL-2.0-only
"""The explorer: time of a schedule against a bare run of the same operations, and of all ready configurations."""

from __future__ import annotations

import resource
import time
from typing import Any

from benchmarks.processes import measure
from benchmarks.report import Bar, Result, Series

_ROUNDS, _QUICK_ROUNDS = 5, 2
#: Actors, and the limit of a schedule's CPU time as a multiple of a bare run's.
_ACTORS = {"optimize A, optimize B": 2.2, "optimize A, optimize B, taker A.64": 2.2}
#: Seconds of `hvolab explore`, at most.
_SECONDS = 60.0


def run(*, quick: bool) -> Result:
    """Measure both in turn, and the command once."""
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    found: list[Series] = []
    bars: list[Bar] = []
    for actors, limit in _ACTORS.items():
        figures: dict[str, Any] = measure(["-m", "benchmarks.explore_run", actors, "--rounds", str(rounds)])
        explored, bare = tuple(figures["explored"]), tuple(figures["bare"])
        ratios = Series(
            f"{actors}: explored / bare", "ratio", tuple(a / b for a, b in zip(explored, bare, strict=True))
        )
        found += [
            Series(f"{actors}: schedules", "/s", tuple(1e3 / each for each in explored)),
            Series(f"{actors}: a schedule", "ms", explored),
            Series(f"{actors}: bare", "ms", bare),
            ratios,
        ]
        bars.append(Bar(ratios.name, ratios.median, limit))
    cpu, wall = _command()
    found += [Series("hvolab explore", "s", (wall,)), Series("hvolab explore, CPU time", "s", (cpu,))]
    bars.append(Bar("hvolab explore, CPU time", cpu, _SECONDS))
    note = (
        "x86_64, CPU time. All schedules of partial-order reduction, from a PMD leaf that both optimizers split. Bare:"
        " the machine is restored, both folios are optimized entry by entry, one after the other, and the invariants"
        " are checked. `hvolab explore` runs in one process, and must end without a finding."
    )
    return Result("explore", tuple(found), tuple(bars), (note,))


def _command() -> tuple[float, float]:
    """Return CPU time and wall-clock time of all ready configurations in one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    measure(["-m", "hvolab", "explore", "--arch", "x86_64", "--jobs", "1", "--json"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start
