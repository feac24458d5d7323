"""Touches memory and gives it back, so that the host of a virtual machine has it at hand for the process measured next.

Where memory is lent by a host page by page, the first touch of a page costs several times what the guest's own fault
does, and pages that lie free for some seconds go back to the host; which process pays for that is chance. So memory is
touched beforehand by a process that is not measured, which gives it back at once or little by little.

usage: python -m benchmarks.host_memory MEBIBYTES [SECONDS]     says "ready" when touched, then gives back over SECONDS
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
    """Have that much memory touched before the ``with`` block, and given back over ``seconds`` while it runs."""
    arguments = [sys.executable, "-m", "benchmarks.host_memory", str(mebibytes), str(seconds)]
    with subprocess.Popen(arguments, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        process.stdout.readline()
        if not seconds:
            process.wait()
        yield


def main() -> None:
    """Touch one byte of every page, then let go of the memory slice by slice."""
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
