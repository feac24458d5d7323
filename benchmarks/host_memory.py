"""Touches memory and gives it back, so that the host of a virtual machine has it at hand for the process measured next.

Where memory is lent by a host page by page, the first touch of a page costs several times what the guest's own fault
does, and which process pays for it is chance. usage: python -m benchmarks.host_memory MEBIBYTES
"""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np


def warm(mebibytes: int) -> None:
    """Touch that much memory in a process of its own, which then ends."""
    arguments = [sys.executable, "-m", "benchmarks.host_memory", str(mebibytes)]
    subprocess.run(arguments, cwd=Path(__file__).parent.parent, check=True)


def main() -> None:
    """Touch one byte of every page."""
    octets = np.frombuffer(mmap.mmap(-1, int(sys.argv[1]) << 20), dtype=np.uint8)
    octets[:: mmap.PAGESIZE] = 1


if __name__ == "__main__":
    main()
