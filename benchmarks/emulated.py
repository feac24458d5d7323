"""Emulated CPUs against bare unicorn that does the same copies and entries in guest loops, and against the model."""

from __future__ import annotations

import statistics

from benchmarks.processes import in_turn, series
from benchmarks.report import Bar, Result, Series

_FOLIOS = 8_192
_REPETITIONS, _QUICK_REPETITIONS = 5, 3
#: Of bare unicorn: a batch, and a fault or a fresh CPU; and what those may take by themselves.
_BATCH, _OTHERS = 3.0, 2.0
_FAULT_US, _FRESH_MS = 60.0, 20.0


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
    for figure, unit in (("fault", "us"), ("fresh", "ms")):
        title = {"fault": "a fault", "fresh": "a fresh CPU"}[figure]
        shown = {"us": "µs", "ms": "ms"}[unit]
        found.append(series(f"{title}, bare unicorn", shown, bare, f"bare_{figure}_{unit}"))
        found.append(series(f"{title}, emulated", shown, bare, f"{figure}_{unit}"))
    found.append(series("a fault, by a handler in the guest", "µs", bare, "handled_us"))
    medians = {each.name: each.median for each in found}
    for other in ("bare unicorn", "model"):
        ratios = _each(runs["emulated"], runs[other], "optimize_cpu_us")
        found.append(Series(f"optimize, CPU time, emulated / {other}", "ratio", ratios))
    bars = (
        Bar(
            "optimize, CPU time, emulated / bare unicorn",
            statistics.median(_each(runs["emulated"], runs["bare unicorn"], "optimize_cpu_us")),
            _BATCH,
        ),
        Bar("a fault, emulated / bare", _ratio(bare, "fault_us"), _OTHERS),
        Bar("a fault, µs", medians["a fault, emulated"], _FAULT_US),
        Bar("a fault, by a handler in the guest, µs", medians["a fault, by a handler in the guest"], _FAULT_US),
        Bar("a fresh CPU, emulated / bare", _ratio(bare, "fresh_ms"), _OTHERS),
        Bar("a fresh CPU, ms", medians["a fresh CPU, emulated"], _FRESH_MS),
    )
    note = (
        f"{_FOLIOS:,} folios of 2 MiB in one batch on x86_64. Bare unicorn has the same memory and tables, and the"
        " same instruction sequences, each loop started once. Building machines is not timed."
    )
    return Result("emulated", tuple(found), bars, (note,))


def _each(runs: list[dict[str, float]], others: list[dict[str, float]], figure: str) -> tuple[float, ...]:
    """Ratio of each run to the one that was made beside it."""
    return tuple(run[figure] / other[figure] for run, other in zip(runs, others, strict=True))


def _ratio(runs: list[dict[str, float]], figure: str) -> float:
    """Ratio of medians, emulated to bare."""
    ours, bare = (statistics.median(run[name] for run in runs) for name in (figure, f"bare_{figure}"))
    return ours / bare
