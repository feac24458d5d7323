# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages of a running machine, from files in /proc and /sys that need no root, or from copies of them.

Source: Documentation/admin-guide/mm/hugetlbpage.rst, Documentation/admin-guide/sysctl/vm.rst, v6.12.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hvolab.errors import HvolabError, UsageError
from hvolab_vmcore.savings.savings import PoolSavings, saved_of
from hvolab_vmlinux.types.btf import Types
from hvolab_vmlinux.types.index import read_index

_SIZE: Final = re.compile(r"hugepages-(\d{1,12})kB")
_NODE: Final = re.compile(r"node(\d{1,4})")
#: Bytes of a struct page of the kernels of distributions, where type information cannot be read.
_STRUCT_PAGE: Final = 64
_KIB: Final = 1 << 10


@dataclass(frozen=True)
class System:
    """A running machine.

    kernel            release as `uname -r` prints it; empty: unknown
    page_size         bytes of a base page
    struct_page_size  bytes of a struct page
    memory            bytes of memory
    hvo               whether huge pages that are allocated now are optimized
    pools             its huge pages
    notes             sentences about what is unknown or assumed
    """

    kernel: str
    page_size: int
    struct_page_size: int
    memory: int
    hvo: Literal["on", "off", "not there"]
    pools: tuple[PoolSavings, ...]
    notes: tuple[str, ...]


def read_system(root: Path) -> System:
    """Read the machine whose /proc and /sys are below ``root``; raises UsageError where there are none."""
    memory = _memory(root)
    page_size, notes = _page_size(root)
    struct_page, more = _struct_page_size(root)
    state = _text(root / "proc/sys/vm/hugetlb_optimize_vmemmap")
    hvo: Literal["on", "off", "not there"] = "not there" if state is None else "off" if state == "0" else "on"
    notes += more + _notes_about(hvo)
    pools, unread = _pools(root, page_size, struct_page, hvo)
    kernel = _text(root / "proc/sys/kernel/osrelease") or ""
    return System(kernel, page_size, struct_page, memory, hvo, tuple(pools), (*notes, *unread))


def _notes_about(hvo: str) -> list[str]:
    """Return what follows from the switch."""
    if hvo == "not there":
        return ["the kernel has no vm.hugetlb_optimize_vmemmap: it was built without HVO, or is older than v5.19"]
    if hvo == "on":
        return ["HVO is on; huge pages that were allocated while it was off are not optimized: a dump shows which are"]
    return ["HVO is off; huge pages that were allocated while it was on remain optimized: a dump shows which are"]


def _text(path: Path) -> str | None:
    """Return the text of a small file, None where it cannot be read."""
    try:
        with path.open(encoding="ascii", errors="backslashreplace") as file:
            return file.read(1 << 20).strip()
    except OSError:
        return None


def _memory(root: Path) -> int:
    match = re.search(r"^MemTotal: +(\d{1,15}) kB$", _text(root / "proc/meminfo") or "", re.MULTILINE)
    if match is None:
        raise UsageError(
            f"{root / 'proc/meminfo'} has no MemTotal",
            rule="a machine is read from its /proc and /sys",
            hint="name a folder that has proc and sys with --system, or a dump",
        )
    return int(match[1]) * _KIB


def _page_size(root: Path) -> tuple[int, list[str]]:
    """Return the size of a base page: /proc/self/smaps has it, else this process's is taken."""
    match = re.search(r"^KernelPageSize: +(\d{1,9}) kB$", _text(root / "proc/self/smaps") or "", re.MULTILINE)
    if match is not None and int(match[1]).bit_count() == 1:
        return int(match[1]) * _KIB, []
    own = os.sysconf("SC_PAGE_SIZE")
    return own, [f"the size of a base page is assumed to be that of this machine: {own} bytes"]


def _struct_page_size(root: Path) -> tuple[int, list[str]]:
    """Return the size of struct page, from the type information of the kernel."""
    try:
        return Types(read_index((root / "sys/kernel/btf/vmlinux").read_bytes())).size("page"), []
    except (OSError, HvolabError):
        return _STRUCT_PAGE, [f"type information cannot be read: a struct page is assumed to have {_STRUCT_PAGE} bytes"]


def _pools(root: Path, page_size: int, struct_page: int, hvo: str) -> tuple[list[PoolSavings], list[str]]:
    """Return the huge pages by size and node, those of the largest size first, and notes about what is unknown."""
    found, notes = list[PoolSavings](), list[str]()
    nodes = sorted((root / "sys/devices/system/node").glob("node*/hugepages/hugepages-*kB/nr_hugepages"))
    files = nodes or sorted((root / "sys/kernel/mm/hugepages").glob("hugepages-*kB/nr_hugepages"))
    for file in files:
        size, node, count = _SIZE.fullmatch(file.parent.name), _NODE.fullmatch(file.parents[2].name), _text(file)
        if size is None or int(size[1]).bit_count() != 1:
            continue
        if count is None or not count.isdecimal():
            notes.append(f"the number of huge pages cannot be read, they are left out: /{file.relative_to(root)}")
            continue
        saved = saved_of(int(size[1]) * _KIB, page_size, struct_page)
        none = hvo == "not there" or not saved or count == "0"
        found.append(
            PoolSavings(
                size=int(size[1]) * _KIB,
                node=None if node is None else int(node[1]),
                huge_pages=int(count),
                optimized=0 if none else None,
                saved=0 if none else None,
                possible=int(count) * saved,
            )
        )
    return sorted(found, key=lambda pool: (-pool.size, pool.node or 0)), notes
