# SPDX-License-Identifier: GPL-2.0-only
"""One run of the benchmark `dumps`: inspects a core, and prints its figures as JSON."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.scan.releases import open_scan


def anonymous_mebibytes() -> float:
    """Return the anonymous memory of this process. Kernel: RssAnon in fs/proc/task_mmu.c."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kibibytes,) = (int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return kibibytes / 1024


def main() -> None:
    """Inspect the core that the command line names."""
    scan = open_scan(sys.argv[1])
    data = scan_data(scan)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "seconds": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss / 1024,
        "anonymous": anonymous_mebibytes(),
        "optimized": sum(size["optimized"] for size in data["sizes"]),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
