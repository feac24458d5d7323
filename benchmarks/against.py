# SPDX-License-Identifier: GPL-2.0-only
"""CPU time of this checkout against another one, or against another explorer, measured in turn.

usage: python -m benchmarks.against CHECKOUT [NAME…] [--rounds N]
       python -m benchmarks.against --explorer COMMAND [--image IMAGE] [--rounds N]

CHECKOUT is the folder of another commit of hvolab, such as `git worktree add` makes. NAME is scale, emulated or
kernel-code (default: all): the other checkout's own measurements of them are run there. Their bar is that this checkout
takes at most 1.05 times as long as the other.
COMMAND prints what `python -m benchmarks.explore_rates` prints, for the same names of configurations.
Exit code as for `python -m benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.report import Bar, BenchmarkError, Result, Series, show
from tests.kernel_images import images_directory

_ROOT = Path(__file__).parent.parent
#: Most CPU time, as a multiple of the other checkout's.
_LIMIT = 1.05
_IMAGE = "x86_64-6.12"
#: Bars of schedules a second, as multiples of the other explorer's: on the model, on a kernel's code.
_MODEL_RATE, _CODE_RATE = 2.0, 1.0
#: By name: the process of a measurement, and its figures of CPU time, and whether they are rates.
_MEASUREMENTS: dict[str, tuple[list[str], tuple[str, ...], bool]] = {
    "scale": (["benchmarks.scale_run", "65536", "--restore", "16384"], ("optimize_cpu_us", "restore_cpu_us"), False),
    "emulated": (["benchmarks.scale_run", "8192", "--restore", "64", "--cpu", "emulated"], ("optimize_cpu_us",), False),
    "kernel-code": (["benchmarks.kernel_folios", str(images_directory() / f"{_IMAGE}.image")], ("ours",), True),
}


def main() -> int:
    """Measure, print, and return 0 if every bar is met, 1 if one is missed, 2 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description="this checkout against another")
    parser.add_argument("checkout", nargs="?", type=Path, help="folder of another commit of hvolab")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_MEASUREMENTS))
    parser.add_argument("--explorer", metavar="COMMAND", help="prints figures as benchmarks.explore_rates does")
    parser.add_argument("--image", help="kernel image whose code is explored too")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    names = options.names or list(_MEASUREMENTS)
    if (options.checkout is None) == (options.explorer is None) or not set(names) <= _MEASUREMENTS.keys():
        parser.error("name either a checkout and measurements, or an explorer")
    console = Console(soft_wrap=True)
    try:
        if options.explorer is not None:
            found = _explorers(shlex.split(options.explorer), options.image, options.rounds)
        else:
            found = _checkouts(options.checkout.resolve(), names, options.rounds)
    except BenchmarkError as error:
        console.print(f"[red]it could not be measured:[/] {error}")
        return 2
    show(console, found)
    return 0 if found.met else 1


def _checkouts(other: Path, names: Sequence[str], rounds: int) -> Result:
    """Run each measurement of both checkouts in turn."""
    series: list[Series] = []
    bars: list[Bar] = []
    for name in names:
        arguments, figures, rates = _MEASUREMENTS[name]
        pairs = []
        for number in range(rounds):  # the first one alternates
            order = (_ROOT, other) if number % 2 else (other, _ROOT)
            by_root = {root: _measured([sys.executable, "-m", *arguments], root) for root in order}
            pairs.append((by_root[_ROOT], by_root[other]))
        for figure in figures:
            values = [tuple(_median(one[figure]) for one in pair) for pair in pairs]
            ratios = tuple(there / here if rates else here / there for here, there in values)
            unit = "folios/s" if rates else "µs/folio"
            title = f"{name}, {figure.removesuffix('_cpu_us')}"
            series += [
                Series(f"{title}, {who}", unit, tuple(column))
                for who, column in zip(("this checkout", "the other"), zip(*values, strict=True), strict=True)
            ]
            series.append(Series(f"{title}: CPU time, this / other", "ratio", ratios))
            bars.append(Bar(series[-1].name, series[-1].median, _LIMIT))
    return Result(f"against {other.name}", tuple(series), tuple(bars), ("Both run in turn, each in a new process.",))


def _explorers(command: list[str], image: str | None, rounds: int) -> Result:
    """Run the explorer of this checkout and another one in turn."""
    ours = [sys.executable, "-m", "benchmarks.explore_rates", *(["--image", image] if image else [])]
    runs = [(_measured(ours, _ROOT), _measured(command, None)) for _ in range(rounds)]
    series: list[Series] = []
    bars: list[Bar] = []
    for name in (name for name in runs[0][0] if name in runs[0][1]):
        for figure, unit in (
            ("schedule_ms", "ms"),
            ("step_us", "µs"),
            ("seconds", "s"),
            ("schedules", ""),
            ("steps", ""),
        ):
            values = [(here[name][figure], there[name][figure]) for here, there in runs]
            columns = tuple(zip(*values, strict=True))
            series += [
                Series(f"{name}: {figure.partition('_')[0]}, {who}", unit, column)
                for who, column in zip(("hvolab", "the other"), columns, strict=True)
            ]
            if unit:
                ratios = tuple(there / here for here, there in values)
                series.append(Series(f"{name}: {figure.partition('_')[0]}, other / hvolab", "ratio", ratios))
            if figure == "schedule_ms":
                limit = _CODE_RATE if name.startswith("kernel") else _MODEL_RATE
                bars.append(Bar(f"{name}: schedules a second, hvolab / other", series[-1].median, limit, at_least=True))
    note = "CPU time of complete explorations in new programs. Schedules of two explorers differ in their length."
    return Result("explorers", tuple(series), tuple(bars), (note,))


def _median(value: float | list[float]) -> float:
    return statistics.median(value) if isinstance(value, list) else value


def _measured(command: Sequence[str], root: Path | None) -> dict[str, Any]:
    """Run a process with the modules of a checkout, or of the environment; return the JSON object in its last line."""
    environment = dict(os.environ)
    if root is not None:
        folders = (root, root / "core", root / "arches", root / "plugins")
        environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    done = subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.exit(main())
