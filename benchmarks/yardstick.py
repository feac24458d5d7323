"""The yardstick of the scale benchmark: what HVO's stores and copies alone cost, in a bare numpy loop.

usage: yardstick.py FOLIOS [--restore N]     prints microseconds per folio and peak memory, one line of JSON

Optimize, per 2 MiB folio on 4 KiB pages: copy the head's vmemmap page to a new frame, write one RW and seven RO
entries. Restore, per folio: copy the head's page to seven fresh frames, overwrite three struct pages in each, write
seven entries. Its memory is sparse, as hvolab's is.

It runs in a process of its own: at 524,288 folios it touches about 2.2 GB for optimize, and 28 KiB more for each
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
    pages = np.frombuffer(mmap.mmap(-1, size, flags=flags), dtype=np.uint64).reshape(-1, 512)

    cpu = time.process_time()
    start = time.perf_counter()
    for folio in range(folios):
        table, slot, head = pages[tables + (folio >> 6)], (folio & 63) * 8, heads + folio
        pages[head] = pages[vmemmap + 8 * folio]
        table[slot] = head << 12 | RW
        table[slot + 1 : slot + 8] = head << 12 | RO
    optimize = time.perf_counter() - start
    optimize_cpu = time.process_time() - cpu

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
    restore = time.perf_counter() - start
    restore_cpu = time.process_time() - cpu

    figures = {
        "optimize_us": optimize / folios * 1e6,
        "optimize_cpu_us": optimize_cpu / folios * 1e6,
        "restore_us": restore / restored * 1e6,
        "restore_cpu_us": restore_cpu / restored * 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
