# SPDX-License-Identifier: GPL-2.0-only
"""Memory touched and freed beforehand, so that the host of a virtual machine backs it for the process measured next.

Where a host backs memory page by page, the first touch of a page costs several times as much as the guest's own fault,
and pages that stay free for some seconds return to the host; it is chance which process pays for that. So a process
that is not measured touches memory beforehand, and frees it at once or slice by slice.

usage: python -m benchmarks.host_memory MEBIBYTES [SECONDS]     prints "ready" when touched, then frees over SECONDS
"""

from __future__ import annotations

import mmap
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SLICES = 64


@contextmanager
def lent(mebibytes: int, seconds: float = 0) -> Iterator[None]:
    """Touch that much memory before the ``with`` block, and free it over ``seconds`` while the block runs."""
    arguments = [sys.executable, "-m", "benchmarks.host_memory", str(mebibytes), str(seconds)]
    with subprocess.Popen(arguments, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was requested
        process.stdout.readline()
        if not seconds:
            process.wait()
        yield


def main() -> None:
    """Touch one byte of every page, then free the memory slice by slice."""
    mebibytes, seconds = int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0
    size = max(1, mebibytes // _SLICES) << 20
    slices = [mmap.mmap(-1, size) for _ in range(_SLICES)]
    for each in slices:
        each[:: mmap.PAGESIZE] = b"x" * (size // mmap.PAGESIZE)
    print("ready", flush=True)
    for each in slices:
        each.close()
        time.sleep(seconds / _SLICES)


if __name__ == "__main__":
    main()
