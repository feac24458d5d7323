# SPDX-License-Identifier: GPL-2.0-only
"""Measurements in processes of their own, in turn, so that a change of the machine's speed affects all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import host_memory
from benchmarks.report import BenchmarkError, Series

_ROOT = Path(__file__).parent.parent

#: What one run measured: figures by name.
Figures = dict[str, float]


def measure(arguments: Sequence[str]) -> Figures:
    """Run this Python with ``arguments`` from the project's root; return the JSON object that it prints.

    Raises BenchmarkError with the process's standard error if it fails.
    """
    done = subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(arguments)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    figures: Figures = json.loads(done.stdout)
    return figures


def in_turn(commands: Mapping[str, Sequence[str]], repetitions: int, *, mebibytes: int = 0) -> dict[str, list[Figures]]:
    """Run every command once, then every command again, and so on; return the figures of each by the command's name.

    mebibytes  memory that is touched and freed before each run, see :mod:`benchmarks.host_memory`
    """
    found: dict[str, list[Figures]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, arguments in commands.items():
            with host_memory.lent(mebibytes):
                found[name].append(measure(arguments))
    return found


def series(name: str, unit: str, runs: Sequence[Figures], figure: str) -> Series:
    """Return one figure of every run."""
    return Series(name, unit, tuple(run[figure] for run in runs))
