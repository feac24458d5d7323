# SPDX-License-Identifier: GPL-2.0-only
"""Yardstick of the scale benchmark: a bare numpy loop that makes HVO's stores and copies.

usage: yardstick.py FOLIOS [--restore N]     prints microseconds per folio and peak memory, one line of JSON

Optimize, per 2 MiB folio on 4 KiB pages: set the flag in the head struct page, copy the head's vmemmap page to a new
frame, write one RW and seven RO entries. Restore, per folio: copy the head's page to seven fresh frames, overwrite
three struct pages in each, write seven entries, clear the flag in the head struct page. The heads' vmemmap pages are
filled before the clock starts, as boot leaves them and as the benchmark fills hvolab's. Memory is sparse, as hvolab's.

The loop runs in a process of its own: at 524,288 folios it touches 4.1 GiB for optimize, and 28 KiB more for each
restored folio.
"""

from __future__ import annotations

import argparse
import json
import mmap
import resource
import time

import numpy as np

MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # not in Python 3.11's mmap
RW, RO = 0x8000000000000163, 0x8000000000000121
#: Word of the head struct page with the HPG_ flags, and the flag. Kernel: HPG_vmemmap_optimized, v6.12.
PRIVATE, OPTIMIZED = 5, 1 << 4


def main() -> None:
    """Run the two loops and print what they took."""
    parser = argparse.ArgumentParser(description="the stores and copies of HVO alone")
    parser.add_argument("folios", type=int)
    parser.add_argument("--restore", type=int, help="how many of them to restore (default: all)")
    options = parser.parse_args()
    folios: int = options.folios
    restored: int = folios if options.restore is None else options.restore
    vmemmap, tables = 0, 8 * folios
    heads = tables + folios // 64 + 1
    fresh = heads + folios
    size = (fresh + 7 * restored) * 4096
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    memory = mmap.mmap(-1, size, flags=flags)
    words = memoryview(memory).cast("Q")
    pages = np.frombuffer(memory, dtype=np.uint64).reshape(-1, 512)
    for folio in range(folios):
        pages[vmemmap + 8 * folio] = folio

    cpu = time.process_time()
    start = time.perf_counter()
    for folio in range(folios):
        table, slot, head = pages[tables + (folio >> 6)], (folio & 63) * 8, heads + folio
        words[(vmemmap + 8 * folio) * 512 + PRIVATE] |= OPTIMIZED
        pages[head] = pages[vmemmap + 8 * folio]
        table[slot] = head << 12 | RW
        table[slot + 1 : slot + 8] = head << 12 | RO
    optimize = time.perf_counter() - start
    optimize_cpu = time.process_time() - cpu
    optimize_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    cpu = time.process_time()
    start = time.perf_counter()
    frame = fresh
    for folio in range(restored):
        table, slot, head = pages[tables + (folio >> 6)], (folio & 63) * 8, heads + folio
        for tail in range(1, 8):
            pages[frame] = pages[head]
            pages[frame, :24] = pages[frame, 24:48]
            table[slot + tail] = frame << 12 | RW
            frame += 1
        words[head * 512 + PRIVATE] &= ~OPTIMIZED
    restore = time.perf_counter() - start
    restore_cpu = time.process_time() - cpu

    figures = {
        "optimize_us": optimize / folios * 1e6,
        "optimize_cpu_us": optimize_cpu / folios * 1e6,
        "optimize_peak_mb": optimize_peak / 1024,
        "restore_us": restore / restored * 1e6,
        "restore_cpu_us": restore_cpu / restored * 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
