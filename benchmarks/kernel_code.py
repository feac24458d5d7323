# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own code: optimizing folios against bare unicorn, and the time of `hvolab kernel` to its answer.

Images are those that `python -m tests.kernel_images` has fetched; without any, the benchmark cannot be measured.
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
#: Limits: of bare unicorn's time for a batch; and of the time of an answer to what no answer can do without.
_BATCH, _ANSWER = 1.5, 2.2
_SCENARIO = "2M boot: optimize twice"
_UNPACK = "import sys; from hvolab_vmlinux.containers.unwrap import unwrap; unwrap(open(sys.argv[1], 'rb').read(), '')"
_IMPORT = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):  # some modules try others that are for another system
        importlib.import_module(name)
"""


def run(*, quick: bool) -> Result:
    """Measure with each image that is there."""
    found = {name: images_directory() / f"{name}.image" for name in _NAMES}
    images = {name: path for name, path in found.items() if path.exists()}
    if not images:
        raise BenchmarkError(f"no kernel image in the cache: {command_for(' '.join(_NAMES))}")
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
        f" Answers are those of `hvolab kernel IMAGE --scenario '{_SCENARIO}'`, against a process that imports the same"
        " modules and does nothing; for a new image, with nothing cached, the time to unpack it is added to that."
    )
    return Result("kernel-code", tuple(series), tuple(bars), (note,))


def _folios(name: str, path: Path, runs: int) -> tuple[list[Series], list[Bar]]:
    """Measure the rates of both, and the ratio of each round."""
    figures: dict[str, Any] = measure(["-m", "benchmarks.kernel_folios", str(path), "--rounds", str(2 * runs + 1)])
    ours, bare = tuple(figures["ours"]), tuple(figures["bare"])
    ratios = Series(f"{name}, bare / hvolab", "ratio", tuple(b / a for a, b in zip(ours, bare, strict=True)))
    rates = [
        Series(f"{name}, optimize", "folios/s", ours),
        Series(f"{name}, optimize, bare unicorn", "folios/s", bare),
    ]
    return [*rates, ratios], [Bar(ratios.name, ratios.median, _BATCH)]


def _answers(name: str, path: Path, runs: int) -> tuple[list[Series], list[Bar]]:
    """Measure an answer with nothing cached of the image, one with everything cached, and what both need at least."""
    answer = ["-m", "hvolab", "kernel", str(path), "--scenario", _SCENARIO, "--json"]
    commands = {
        "answer, new image": answer,
        "answer, image cached": answer,
        "imports alone": ["-c", _IMPORT, *_imported(answer)],
        "unpacking alone": ["-c", _UNPACK, str(path)],
    }
    found: dict[str, list[float]] = {title: [] for title in commands}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            for title, command in commands.items():
                found[title].append(_cpu_seconds(command, folder))
    series = {title: Series(f"{name}, {title}", "s", tuple(values)) for title, values in found.items()}
    new, cached, imports, unpacking = (each.median for each in series.values())
    return list(series.values()), [
        Bar(f"{name}, answer, new image / imports and unpacking", new / (imports + unpacking), _ANSWER),
        Bar(f"{name}, answer, image cached / imports", cached / imports, _ANSWER),
    ]


def _imported(arguments: Sequence[str]) -> list[str]:
    """Return the modules that a process of this Python imports, each after those that it imports itself."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return [row[2].strip() for row in rows[1:]]


def _cpu_seconds(arguments: Sequence[str], cache: str) -> float:
    """Return the CPU time of a process of this Python whose cache of images is in this folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "HVOLAB_CACHE_DIR": cache}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=_ROOT, env=environment, check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(arguments)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
