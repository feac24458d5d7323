# SPDX-License-Identifier: GPL-2.0-only
"""Emulated CPUs against bare unicorn that does the same copies and entries in guest loops, and against the model."""

from __future__ import annotations

import statistics

from benchmarks.processes import in_turn, series
from benchmarks.report import Bar, Result, Series

_FOLIOS = 8_192
_REPETITIONS, _QUICK_REPETITIONS = 5, 3
#: Limits as multiples of bare unicorn's time: a batch; a fault and a fresh CPU; a fault that a handler in the guest
#: records, against a fault that bare unicorn reports without one.
_BATCH, _OTHERS, _HANDLER = 3.0, 2.0, 6.0


def run(*, quick: bool) -> Result:
    """Measure bare unicorn, the emulated CPU and the modeled one in turn."""
    batch = ["-m", "benchmarks.scale_run", str(_FOLIOS), "--restore", "64"]
    commands = {
        "bare unicorn": ["-m", "benchmarks.bare_unicorn", str(_FOLIOS)],
        "emulated": [*batch, "--cpu", "emulated"],
        "model": batch,
    }
    runs = in_turn(commands, _QUICK_REPETITIONS if quick else _REPETITIONS, mebibytes=_FOLIOS >> 7)
    bare = runs["bare unicorn"]
    found = [series(f"optimize, {who}", "µs/folio", runs[who], "optimize_us") for who in commands]
    found += [series(f"optimize, CPU time, {who}", "µs/folio", runs[who], "optimize_cpu_us") for who in commands]
    for title, unit, name in (("a fault", "µs", "fault_us"), ("a fresh CPU", "ms", "fresh_ms")):
        found.append(series(f"{title}, bare unicorn", unit, bare, f"bare_{name}"))
        found.append(series(f"{title}, emulated", unit, bare, name))
    found.append(series("a fault, by a handler in the guest", "µs", bare, "handled_us"))
    for other in ("bare unicorn", "model"):
        ratios = _each(runs["emulated"], runs[other], "optimize_cpu_us")
        found.append(Series(f"optimize, CPU time, emulated / {other}", "ratio", ratios))
    bars = (
        Bar(
            "optimize, CPU time, emulated / bare unicorn",
            statistics.median(_each(runs["emulated"], runs["bare unicorn"], "optimize_cpu_us")),
            _BATCH,
        ),
        Bar("a fault, emulated / bare", _ratio(bare, "fault_us", "bare_fault_us"), _OTHERS),
        Bar("a fault, by a handler in the guest / bare", _ratio(bare, "handled_us", "bare_fault_us"), _HANDLER),
        Bar("a fresh CPU, emulated / bare", _ratio(bare, "fresh_ms", "bare_fresh_ms"), _OTHERS),
    )
    note = (
        f"{_FOLIOS:,} folios of 2 MiB in one batch on x86_64. Bare unicorn has the same memory and tables, and the"
        " same instruction sequences, each loop started once. Building machines is not timed. A"
        " handler in the guest writes a record of the fault to memory; bare unicorn stops at the fault."
    )
    return Result("emulated", tuple(found), bars, (note,))


def _each(runs: list[dict[str, float]], others: list[dict[str, float]], figure: str) -> tuple[float, ...]:
    """Return the ratio of each run to the other one of the same round."""
    return tuple(run[figure] / other[figure] for run, other in zip(runs, others, strict=True))


def _ratio(runs: list[dict[str, float]], figure: str, other: str) -> float:
    """Return the ratio of the medians of two figures."""
    return statistics.median(run[figure] for run in runs) / statistics.median(run[other] for run in runs)
