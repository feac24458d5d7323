# SPDX-License-Identifier: GPL-2.0-only
"""Copies of /proc and /sys of machines, as far as savings are read from them."""

from __future__ import annotations

from pathlib import Path


def write_machine(
    root: Path, huge_pages: dict[str, int], *, switch: str | None = "1", memory: int = 64 << 20, page: str = "4"
) -> Path:
    """Write a machine: huge pages by ``NODE/KIB``, or by ``KIB`` where it shows no nodes; memory in KiB."""
    files = {
        "proc/meminfo": f"MemTotal:       {memory} kB\nMemFree:        1 kB\n",
        "proc/self/smaps": f"55 r--p 0 0:0 0 a\nKernelPageSize:        {page} kB\n",
        "proc/sys/kernel/osrelease": "6.12.0-test\n",
    }
    if switch is not None:
        files["proc/sys/vm/hugetlb_optimize_vmemmap"] = f"{switch}\n"
    for place, count in huge_pages.items():
        node, _, size = place.rpartition("/")
        folder = f"sys/devices/system/node/node{node}" if node else "sys/kernel/mm"
        files[f"{folder}/hugepages/hugepages-{size}kB/nr_hugepages"] = f"{count}\n"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="ascii")
    return root
