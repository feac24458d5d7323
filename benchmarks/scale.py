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
_LIMITS = {"optimize": 4.0, "restore": 2.0, "peak": 1.5}
_GROWTH = 1.2
_UNITS = {
    "optimize": ("optimize_us", "µs/folio"),
    "optimize, CPU time": ("optimize_cpu_us", "µs/folio"),
    "restore": ("restore_us", "µs/folio"),
    "restore, CPU time": ("restore_cpu_us", "µs/folio"),
    "peak": ("peak_mb", "MB"),
}
_YARDSTICK = str(Path(__file__).parent / "yardstick.py")


def run(*, quick: bool, architecture: str = "x86_64") -> Result:
    """Measure both sizes, hvolab and the loop in turn, in the default mode of an architecture."""
    sizes = _QUICK_SIZES if quick else _SIZES
    repetitions = _QUICK_REPETITIONS if quick else _REPETITIONS
    found: list[Series] = []
    bars: list[Bar] = []
    medians: dict[tuple[str, str], float] = {}
    for size, (folios, restored) in sizes.items():
        arguments = [str(folios), "--restore", str(restored)]
        ours = ["-m", "benchmarks.scale_run", *arguments, "--arch", architecture]
        commands = {"loop": [_YARDSTICK, *arguments], "hvolab": ours}
        # what the loop touches: one page for each folio, and the restored ones' tails
        runs = in_turn(commands, repetitions, mebibytes=(folios + 7 * restored) * 9 // 8 >> 8)
        for name, (figure, unit) in _UNITS.items():
            found += [series(f"{size}: {name}, {who}", unit, runs[who], figure) for who in commands]
            medians[size, name] = _ratio(runs, figure)
            found.append(_ratios(f"{size}: {name}, hvolab / loop", runs, figure))
        bars += [Bar(f"{size}: {name}, hvolab / loop", medians[size, name], limit) for name, limit in _LIMITS.items()]
    small, large = sizes
    bars += [
        Bar(
            f"{name}: growth of hvolab / loop from {small} to {large}",
            medians[large, name] / medians[small, name],
            _GROWTH,
        )
        for name in ("optimize", "restore")
    ]
    return Result(
        f"scale, {architecture}", tuple(found), tuple(bars), (_note(sizes), "Bars are ratios of medians over the runs.")
    )


def _ratio(runs: dict[str, list[Figures]], figure: str) -> float:
    """Ratio of medians."""
    ours, loop = (statistics.median(run[figure] for run in runs[who]) for who in ("hvolab", "loop"))
    return ours / loop


def _ratios(name: str, runs: dict[str, list[Figures]], figure: str) -> Series:
    """Ratios run by run."""
    pairs = zip(runs["hvolab"], runs["loop"], strict=True)
    return Series(name, "ratio", tuple(ours[figure] / loop[figure] for ours, loop in pairs))


def _note(sizes: dict[str, tuple[int, int]]) -> str:
    told = "; ".join(f"{size}: {folios:,} folios, {restored:,} restored" for size, (folios, restored) in sizes.items())
    return f"{told}. Each run is a process of its own, loop and hvolab in turn; building the machine is not timed."
