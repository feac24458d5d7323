# SPDX-License-Identifier: GPL-2.0-only
"""One measurement of the scale benchmark, in a process of its own: optimize all folios in one batch, restore a slice.

usage: python -m benchmarks.scale_run FOLIOS [--restore N] [--arch NAME] [--cpu KIND] [--without-trace]

Prints figures, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import host_memory
from benchmarks.report import BenchmarkError

if TYPE_CHECKING:
    from benchmarks.huge_machine import HugeMachine

_SAMPLES = 256
#: Time over which the memory for new head pages returns to the host: somewhat faster than a batch needs it.
_SECONDS_PER_FOLIO = 5e-6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folios", type=int)
    parser.add_argument("--restore", type=int, help="how many of them to restore (default: all)")
    parser.add_argument("--arch", default="x86_64", help="architecture of the machine")
    parser.add_argument("--without-trace", action="store_true", help="run hvolab with its trace points cut out")
    parser.add_argument("--cpu", default="model", help="kind of CPU that carries everything out")
    options = parser.parse_args()
    if options.without_trace:
        from benchmarks import without_trace  # noqa: PLC0415 - before anything of hvolab is imported

        without_trace.install()
    restored = options.folios if options.restore is None else options.restore
    figures = run(options.folios, restored, options.arch, options.cpu)
    print(json.dumps(figures))


def run(folios: int, restored: int, architecture: str = "x86_64", kind: str = "model") -> dict[str, float]:
    """Return microseconds per folio, and peak memory in MB; raises BenchmarkError if nothing was optimized."""
    from benchmarks import huge_machine  # noqa: PLC0415 - hvolab is imported when its trace points are in or out
    from hvolab.hvo import Hvo  # noqa: PLC0415
    from hvolab.machine import use_cpus  # noqa: PLC0415
    from hvolab.plugin import registry  # noqa: PLC0415

    made = huge_machine.build(folios, architecture)
    maker = registry().cpu(kind)
    if maker is not None:
        use_cpus(made.machine, maker)
    machine, hvo = made.machine, Hvo(made.machine)
    before = machine.counters.total

    with host_memory.lent(_mebibytes(folios), folios * _SECONDS_PER_FOLIO):
        cpu, start = time.process_time(), time.perf_counter()
        hvo.optimize_folios(made, made.folios)
        optimize, optimize_cpu = time.perf_counter() - start, time.process_time() - cpu

    optimize_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    saved = folios * hvo.sizes(made).saved_pages
    _require(machine.key == folios, f"the key is {machine.key} after {folios} folios were optimized")
    _require(before - machine.counters.total == saved, f"{before - machine.counters.total} frames saved, not {saved}")
    sample = made.heads[:: max(1, folios // _SAMPLES)]
    for head in sample.tolist():
        _check_optimized(made, head)

    made.link(made.heads[:restored])
    with host_memory.lent(_mebibytes(restored * hvo.sizes(made).saved_pages)):
        cpu, start = time.process_time(), time.perf_counter()
        result = hvo.restore_folios(made, made.folios, made.others)
        restore, restore_cpu = time.perf_counter() - start, time.process_time() - cpu

    _require(result == restored, f"restoring {restored} folios gave {result}")
    _require(machine.key == folios - restored, f"the key is {machine.key} after restoring {restored} of {folios}")
    for head in made.heads[: restored : max(1, restored // _SAMPLES)].tolist():
        _check_restored(made, head)
    return {
        "optimize_us": optimize / folios * 1e6,
        "optimize_cpu_us": optimize_cpu / folios * 1e6,
        "optimize_peak_mb": optimize_peak / 1024,
        "restore_us": restore / restored * 1e6,
        "restore_cpu_us": restore_cpu / restored * 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _mebibytes(pages: int) -> int:
    """Return the size of this many pages of 4 KiB, and an eighth more."""
    return (pages * 9 // 8 >> 8) + 1


def _entries(made: HugeMachine, head: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the entries that map one folio's vmemmap."""
    machine = made.machine
    va = machine.struct_pages.va(head)
    size = machine.struct_pages.layout.size << made.order
    return np.concatenate([run.raws for run in machine.tables.runs(va, va + size)])


def _check_optimized(made: HugeMachine, head: int) -> None:
    """Require that every tail is mapped read-only to the head's new frame, and the head to the same, writable."""
    from hvolab.arch import PgprotRole  # noqa: PLC0415 - see run()

    target, raws = made.machine.target, _entries(made, head)
    frames = target.page_frames(raws)
    expected = target.page_entries(frames[:1].repeat(raws.size), PgprotRole.KERNEL_RO)
    expected[0] = target.page_entries(frames[:1], PgprotRole.KERNEL)[0]
    _require(np.array_equal(raws, expected), f"the folio at PFN {head:#x} is not optimized: {raws}")
    _require(frames[0] < made.heads[0], f"the frame of a huge page, PFN {frames[0]:#x}, was allocated")
    fields = made.machine.memory.frame(int(frames[0]))
    kind = int(fields[made.machine.struct_pages.layout.page_type // 8]) & 0xFFFFFFFF
    _require(kind == made.machine.struct_pages.layout.hugetlb_set, f"PFN {head:#x} lost its struct page")


def _check_restored(made: HugeMachine, head: int) -> None:
    """Require that every vmemmap page has a writable frame of its own, with the head's content but for reset words."""
    from hvolab.arch import PgprotRole  # noqa: PLC0415 - see run()

    target, raws, memory = made.machine.target, _entries(made, head), made.machine.memory
    frames = target.page_frames(raws)
    _require(np.unique(frames).size == raws.size, f"the folio at PFN {head:#x} is not restored: {raws}")
    _require(frames.max() < made.heads[0], f"the frame of a huge page, PFN {frames.max():#x}, was allocated")
    _require(np.array_equal(raws, target.page_entries(frames, PgprotRole.KERNEL)), f"tails are not writable: {raws}")
    layout = made.machine.struct_pages.layout
    reset = layout.reset_struct_pages * layout.words
    first, *tails = (memory.frame(pfn) for pfn in frames.tolist())
    for tail in tails:
        same = np.array_equal(tail[reset:], first[reset:]) and np.array_equal(tail[:reset], first[reset : 2 * reset])
        _require(same, f"a tail page of the folio at PFN {head:#x} does not have the head's content")


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise BenchmarkError(what)


if __name__ == "__main__":
    main()
