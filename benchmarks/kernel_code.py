"""A kernel's own code: folios a second against bare unicorn, and how soon `hvolab kernel` has its first answer.

Images are those that `python -m tests.kernel_images` has fetched; without any, the benchmark says so.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import measure
from benchmarks.report import Bar, BenchmarkError, Result, Series
from tests.kernel_images import command_for, images_directory

_ROOT = Path(__file__).parent.parent
_NAMES = ("x86_64-6.12", "riscv64-6.12")
_RUNS, _QUICK_RUNS = 5, 2
#: Of bare unicorn's rate; folios a second; seconds to the first answer, and to a later one.
_RATIO, _FOLIOS, _NEW, _CACHED = 1.5, 2500.0, 3.0, 1.0
_SCENARIO = "2M boot: optimize twice"


def run(*, quick: bool) -> Result:
    """Measure with each image that is there."""
    found = {name: images_directory() / f"{name}.image" for name in _NAMES}
    images = {name: path for name, path in found.items() if path.exists()}
    if not images:
        raise BenchmarkError(f"there is no kernel image: {command_for(' '.join(_NAMES))}")
    series: list[Series] = []
    bars: list[Bar] = []
    runs = _QUICK_RUNS if quick else _RUNS
    for name, path in images.items():
        for of, limits in (_folios(name, path, runs), _answers(name, path, runs)):
            series += of
            bars += limits
    note = (
        "CPU time. Bare unicorn has the same image, memory and tables, block hooks by its Python interface that hand"
        " out frames from a stack, and counts no instructions; both optimize a list of 256 folios of 2 MiB, in turn."
        f" First answers are those of `hvolab kernel IMAGE --scenario '{_SCENARIO}'`, by the CPU time of the process."
    )
    return Result("kernel-code", tuple(series), tuple(bars), (note,))


def _folios(name: str, path: Path, runs: int) -> tuple[list[Series], list[Bar]]:
    """Rates, and the ratio of each round."""
    figures: dict[str, Any] = measure(["-m", "benchmarks.kernel_folios", str(path), "--rounds", str(2 * runs + 1)])
    ours, bare = tuple(figures["ours"]), tuple(figures["bare"])
    ratios = Series(f"{name}, bare / hvolab", "ratio", tuple(b / a for a, b in zip(ours, bare, strict=True)))
    rate = Series(f"{name}, optimize", "folios/s", ours)
    bars = [
        Bar(rate.name, rate.median, _FOLIOS, at_least=True),
        Bar(ratios.name, ratios.median, _RATIO),
    ]
    return [rate, Series(f"{name}, optimize, bare unicorn", "folios/s", bare), ratios], bars


def _answers(name: str, path: Path, runs: int) -> tuple[list[Series], list[Bar]]:
    """Seconds to the first answer with nothing kept of the image, with everything kept, and to unpack it alone."""
    command = ["-m", "hvolab", "kernel", str(path), "--scenario", _SCENARIO, "--json"]
    program = (
        "import sys; from hvolab_vmlinux.containers.unwrap import unwrap; unwrap(open(sys.argv[1], 'rb').read(), '')"
    )
    unpack = ["-c", program, str(path)]
    new, later, unpacked = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            new.append(_cpu_seconds(command, folder))
            later.append(_cpu_seconds(command, folder))
            unpacked.append(_cpu_seconds(unpack, folder))
    series = [
        Series(f"{name}, unpacked alone", "s", tuple(unpacked)),
        Series(f"{name}, first answer, new", "s", tuple(new)),
        Series(f"{name}, first answer, later", "s", tuple(later)),
    ]
    return series, [Bar(series[1].name, series[1].median, _NEW), Bar(series[2].name, series[2].median, _CACHED)]


def _cpu_seconds(arguments: Sequence[str], cache: str) -> float:
    """CPU time of a process of this Python that keeps what it reads of images in a folder of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "HVOLAB_CACHE_DIR": cache}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=_ROOT, env=environment, check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(arguments)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
