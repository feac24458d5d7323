# SPDX-License-Identifier: GPL-2.0-only
"""PFNs of the heads of optimized huge pages in one large core, found by hvolab and by drgn."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import drgn_heads
from benchmarks.drgn_heads import Job
from benchmarks.large_core import LargeCore, write
from benchmarks.report import Bar, BenchmarkError, Result, Series
from hvolab_vmcore.core.snapshot import CoreSnapshot, open_snapshot
from hvolab_vmcore.scan.scan import scan

_FOLIOS, _QUICK_FOLIOS = 16384, 4096
_REPETITIONS, _QUICK_REPETITIONS = 7, 3
#: Searches in each repetition, so that no tool is timed on caches that another one has filled.
_SEARCHES = 3
#: Least ratio of drgn's CPU time to hvolab's, by what drgn looks at.
_LEAST = {"entries": 10.0, "flags": 10.0}
_MS, _GIB = 1e3, 1 << 30
Pfns = npt.NDArray[np.int64]


def run(*, quick: bool) -> Result:
    """Search with each of them in turn, in this process and then as whole commands."""
    if importlib.util.find_spec("drgn") is None:
        raise BenchmarkError("drgn is not installed: pip install 'hvolab[bench]'")
    repetitions = _QUICK_REPETITIONS if quick else _REPETITIONS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core"
        core = write(path, _QUICK_FOLIOS if quick else _FOLIOS)
        snapshot = open_snapshot(path)
        job = _job(snapshot, core.memory)
        searches = _searches(snapshot, job)
        found = _in_turn(
            {name: partial(_cpu_of_search, core, search) for name, search in searches.items()}, repetitions
        )
        commands = {"hvolab inspect": ("hvolab", "inspect", str(path))}
        for way in drgn_heads.WAYS:
            commands[f"drgn, {way}: whole process"] = ("benchmarks.drgn_heads", way, json.dumps(job))
        whole = _in_turn({name: partial(_cpu_of_command, command) for name, command in commands.items()}, repetitions)
    least = found["hvolab"].median
    return Result(
        "inspection",
        (*found.values(), *whole.values()),
        tuple(
            Bar(f"drgn, {way} / hvolab", found[f"drgn, {way}"].median / least, limit, at_least=True)
            for way, limit in _LEAST.items()
        ),
        (
            f"{core.heads.size:,} huge pages of 2 MiB, {core.optimized.size:,} of them optimized; CPU time.",
            f"The core is ELF, of {core.memory / _GIB:.0f} GiB, sparse.",
            "In this process, with the core opened: hvolab walks all tables of the vmemmap, and finds all huge pages",
            "of each size, optimized or not, by the frames that their pages of vmemmap map; it reads the head of each",
            "whose tails do not share the head's frame. drgn is called for each 2 MiB of memory. By entries, as hvolab",
            "does, it compares those frames; by flags it reads the head struct page alone, and so finds what the",
            "kernel noted and not what is mapped.",
            "Whole processes include Python's start, imports and opening, which do not grow with the dump, and have no",
            "bar; `hvolab inspect` also checks all entries, heads and owners of frames, and prints its summary.",
            "All searches found the same PFNs.",
        ),
    )


def _searches(snapshot: CoreSnapshot, job: Job) -> Mapping[str, Callable[[], Pfns]]:
    """Return the searches by name, for a core that each tool has opened."""
    program = drgn_heads.opened(job)
    ways = {
        f"drgn, {name}": partial(lambda way: np.array(way(program, job), dtype=np.int64), way)
        for name, way in drgn_heads.WAYS.items()
    }
    return {"hvolab": partial(_optimized, snapshot), **ways}


def _optimized(snapshot: CoreSnapshot) -> Pfns:
    return scan(snapshot).optimized_heads


def _job(snapshot: CoreSnapshot, memory: int) -> Job:
    info = snapshot.core.vmcoreinfo
    swapper = None if info is None else info.symbol("swapper_pg_dir")
    if swapper is None:
        raise BenchmarkError("cannot determine the root page table of the core")
    return Job(str(snapshot.core.path), memory, swapper, snapshot.vmemmap)


def _in_turn(timers: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, Series]:
    """Call each timer once, then each again, and so on; the first call is not counted, as it fills caches."""
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(repetitions + 1):
        for name, timer in timers.items():
            seconds[name].append(timer() * _MS)
    return {name: Series(name, "ms", tuple(each[1:])) for name, each in seconds.items()}


def _cpu_of_search(core: LargeCore, search: Callable[[], Pfns]) -> float:
    """Return the CPU time of a search; raise BenchmarkError if its result is wrong."""
    start = time.process_time()
    for _ in range(_SEARCHES):
        found = search()
    seconds = time.process_time() - start
    if not np.array_equal(found, core.optimized):
        raise BenchmarkError(f"a search finds {found.size} optimized huge pages of {core.optimized.size}")
    return seconds / _SEARCHES


def _cpu_of_command(arguments: Sequence[str]) -> float:
    """Return the CPU time of a Python module's run."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"{' '.join(arguments[:2])} ends with exit code {process.returncode}")
    return used.ru_utime + used.ru_stime
