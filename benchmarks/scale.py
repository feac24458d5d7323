# SPDX-License-Identifier: GPL-2.0-only
"""Batches of 65,536 and 524,288 folios against a bare numpy loop that does the same stores and copies."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.processes import Figures, in_turn, series
from benchmarks.report import Bar, Result, Series

#: Folios of 2 MiB in 128 GiB and in 1 TiB, and how many of them are restored: 1 TiB of restored vmemmap is 16 GiB.
_SIZES = {"128 GiB": (65_536, 65_536), "1 TiB": (524_288, 32_768)}
_QUICK_SIZES = {"16 GiB": (8_192, 8_192), "64 GiB": (32_768, 8_192)}
_REPETITIONS, _QUICK_REPETITIONS = 5, 3
#: Limits of hvolab's CPU time and memory, as multiples of the loop's.
_LIMITS = {"optimize, CPU time": 1.6, "restore, CPU time": 1.2, "peak": 1.1}
#: The same for memory after optimizing, at 1 TiB: in smaller runs the interpreter and its modules count for more.
_OPTIMIZE_PEAK = 1.1
#: Limit of the larger size's ratio, as a multiple of the smaller size's.
_GROWTH = 1.2
_UNITS = {
    "optimize": ("optimize_us", "µs/folio"),
    "optimize, CPU time": ("optimize_cpu_us", "µs/folio"),
    "peak of optimize": ("optimize_peak_mb", "MB"),
    "restore": ("restore_us", "µs/folio"),
    "restore, CPU time": ("restore_cpu_us", "µs/folio"),
    "peak": ("peak_mb", "MB"),
}
_YARDSTICK = str(Path(__file__).parent / "yardstick.py")


def run(*, quick: bool, architecture: str = "x86_64") -> Result:
    """Measure hvolab and the loop in turn, at two sizes, in the default mode of an architecture."""
    sizes = _QUICK_SIZES if quick else _SIZES
    repetitions = _QUICK_REPETITIONS if quick else _REPETITIONS
    found: list[Series] = []
    bars: list[Bar] = []
    medians: dict[tuple[str, str], float] = {}
    for size, (folios, restored) in sizes.items():
        arguments = [str(folios), "--restore", str(restored)]
        ours = ["-m", "benchmarks.scale_run", *arguments, "--arch", architecture]
        commands = {"loop": [_YARDSTICK, *arguments], "hvolab": ours}
        # pages that the loop touches: the old and the new head page of each folio, and the restored ones' tails
        runs = in_turn(commands, repetitions, mebibytes=(2 * folios + 7 * restored) * 9 // 8 >> 8)
        for name, (figure, unit) in _UNITS.items():
            found += [series(f"{size}: {name}, {who}", unit, runs[who], figure) for who in commands]
            medians[size, name] = _ratio(runs, figure)
            found.append(_ratios(f"{size}: {name}, hvolab / loop", runs, figure))
        bars += [Bar(f"{size}: {name}, hvolab / loop", medians[size, name], limit) for name, limit in _LIMITS.items()]
    small, large = sizes
    if not quick:
        name = "peak of optimize"
        bars.append(Bar(f"{large}: {name}, hvolab / loop", medians[large, name], _OPTIMIZE_PEAK))
    bars += [
        Bar(
            f"{name}: growth of hvolab / loop from {small} to {large}",
            medians[large, name] / medians[small, name],
            _GROWTH,
        )
        for name in ("optimize, CPU time", "restore, CPU time")
    ]
    return Result(
        f"scale, {architecture}",
        tuple(found),
        tuple(bars),
        (_note(sizes), "Bars are ratios of medians over the runs; other processes do not count in CPU time."),
    )


def _ratio(runs: dict[str, list[Figures]], figure: str) -> float:
    """Return the ratio of the medians."""
    ours, loop = (statistics.median(run[figure] for run in runs[who]) for who in ("hvolab", "loop"))
    return ours / loop


def _ratios(name: str, runs: dict[str, list[Figures]], figure: str) -> Series:
    """Return the ratios run by run."""
    pairs = zip(runs["hvolab"], runs["loop"], strict=True)
    return Series(name, "ratio", tuple(ours[figure] / loop[figure] for ours, loop in pairs))


def _note(sizes: dict[str, tuple[int, int]]) -> str:
    counts = "; ".join(
        f"{size}: {folios:,} folios, {restored:,} restored" for size, (folios, restored) in sizes.items()
    )
    return f"{counts}. Each run is a process of its own, loop and hvolab in turn; building the machine is not timed."
