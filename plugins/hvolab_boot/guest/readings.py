# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own report at one moment: free memory, counters, pools, flags of pages, and messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from hvolab.serialize import Hex
from hvolab_boot.guest.console import Answer

POOLS: Final = "/sys/kernel/mm/hugepages/hugepages-{kib}kB"
_KIB: Final = 1 << 10
#: Counters of vmemmap pages. Kernel: 15995a352474 ("mm: report per-page metadata information", v6.12).
_VMEMMAP_COUNTERS: Final = ("nr_memmap_pages", "nr_memmap_boot_pages")
#: Pages in a CPU's own lists, which MemFree leaves out. Kernel: zoneinfo_show_print() in mm/vmstat.c, v6.12.
_CPU_LISTS: Final = re.compile(r"\s+count:\s+(\d+)")
#: A record of /dev/kmsg. Kernel: Documentation/ABI/testing/dev-kmsg, v6.12.
_RECORD: Final = re.compile(r"(\d+),\d+,(\d+),[^;]*;(.*)")


@dataclass(frozen=True)
class HugeRun:
    """A run of pages that /proc/kpageflags has with KPF_HUGE.

    pfn    the first
    pages  number of pages
    heads  those with KPF_COMPOUND_HEAD
    free   those that are free in the page allocator as well
    """

    pfn: Hex
    pages: int
    heads: int
    free: int


@dataclass(frozen=True)
class PoolCounts:
    """Counts of the pool of one size in bytes, by sysfs."""

    size: int
    total: int
    free: int
    surplus: int


@dataclass(frozen=True)
class Message:
    """A message of the kernel: its level (0 emergency to 7 debug), seconds since boot, and text."""

    level: int
    seconds: float
    text: str

    def __str__(self) -> str:
        return f"[{self.seconds:12.6f}] {self.text}"


@dataclass(frozen=True)
class Readings:
    """The kernel's own report.

    mem_free      MemFree, in bytes
    cpu_lists     bytes of free pages in lists of CPUs, which MemFree leaves out
    vmemmap       counters of pages that back the vmemmap; empty: this kernel has none
    pools         all pools, ascending by size
    hvo           value of the sysctl hugetlb_optimize_vmemmap; None: this kernel does not have it
    huge          runs of pages of huge pages, by /proc/kpageflags
    page_size     bytes of one of these pages
    messages      messages since the readings before
    """

    mem_free: int
    cpu_lists: int
    vmemmap: dict[str, int]
    pools: tuple[PoolCounts, ...]
    hvo: int | None
    huge: tuple[HugeRun, ...]
    page_size: int
    messages: tuple[Message, ...]

    @property
    def free(self) -> int:
        """Bytes of free memory, those in lists of CPUs included."""
        return self.mem_free + self.cpu_lists

    @property
    def huge_pages(self) -> dict[int, int]:
        """Number of huge pages in the pools that have some, by size in bytes."""
        return {pool.size: pool.total for pool in self.pools if pool.total}


def read_guest(ask: Callable[[str], Answer], sizes: Iterable[int], page_size: int) -> Readings:
    """Read everything from the guest.

    sizes      sizes of huge pages in bytes, of which the kernel may lack some
    page_size  bytes of a base page
    """
    meminfo = _numbers(ask("r /proc/meminfo"))
    vmstat = _numbers(ask("r /proc/vmstat"))
    hvo = ask("r /proc/sys/vm/hugetlb_optimize_vmemmap").lines
    lists = (_CPU_LISTS.fullmatch(line) for line in ask("r /proc/zoneinfo").lines)
    return Readings(
        mem_free=meminfo.get("MemFree", 0) * _KIB,
        cpu_lists=sum(int(found[1]) for found in lists if found) * page_size,
        vmemmap={name: vmstat[name] for name in _VMEMMAP_COUNTERS if name in vmstat},
        pools=tuple(pool for size in sorted(sizes) if (pool := _pool(ask, size)) is not None),
        hvo=int(hvo[0]) if hvo else None,
        huge=tuple(HugeRun(*map(int, line.split())) for line in ask("k").lines),
        page_size=page_size,
        messages=tuple(messages_of(ask("m").lines)),
    )


def messages_of(lines: Iterable[str]) -> Iterable[Message]:
    """Yield the messages in records of /dev/kmsg; the lines of a record's dictionary are left out."""
    for line in lines:
        if found := _RECORD.fullmatch(line):
            yield Message(int(found[1]) & 7, int(found[2]) / 1e6, found[3])


def pool_path(size: int) -> str:
    """Return the folder in sysfs of the pool of a size."""
    return POOLS.format(kib=size // _KIB)


def _pool(ask: Callable[[str], Answer], size: int) -> PoolCounts | None:
    path = pool_path(size)
    values = [ask(f"r {path}/{name}_hugepages").lines for name in ("nr", "free", "surplus")]
    return PoolCounts(size, *(int(lines[0]) for lines in values)) if all(values) else None


def _numbers(answer: Answer) -> dict[str, int]:
    """Return the numbers of lines as `MemFree:  1 kB` and `nr_free_pages 1`, by name."""
    words = (line.replace(":", " ").split() for line in answer.lines)
    return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdecimal()}
