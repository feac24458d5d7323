# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own report, in the words of 6.12."""

from __future__ import annotations

from hvolab_boot.guest.readings import HugeRun, Message, PoolCounts, read_guest
from tests.plugins.hvolab_boot.guests import Guest

SYSFS = "/sys/kernel/mm/hugepages/hugepages-2048kB"
FILES = {
    "/proc/meminfo": "MemTotal:        1022200 kB\nMemFree:          990968 kB\nHugePages_Total:       8",
    "/proc/vmstat": "nr_free_pages 247742\nnr_memmap_pages 8\nnr_memmap_boot_pages 4544",
    "/proc/sys/vm/hugetlb_optimize_vmemmap": "1",
    "/proc/zoneinfo": "Node 0, zone    DMA32\n  pagesets\n    cpu: 0\n              count:    12\n"
    "              high:     1310\n    cpu: 1\n              count:    3",
    f"{SYSFS}/nr_hugepages": "8",
    f"{SYSFS}/free_hugepages": "7",
    f"{SYSFS}/surplus_hugepages": "1",
}
LOG = "6,1,1500000,-;Linux version 6.12\n SUBSYSTEM=cpu\n12,2,2000000,-;BUG: Bad page state"


def test_the_report_of_a_kernel() -> None:
    guest = Guest(FILES, "22528 4096 8 0", LOG)
    found = read_guest(guest.ask, [1 << 30, 2 << 20], 4096)
    assert (found.mem_free, found.cpu_lists, found.free) == (990968 << 10, 15 << 12, (990968 << 10) + (15 << 12))
    assert found.vmemmap == {"nr_memmap_pages": 8, "nr_memmap_boot_pages": 4544}
    assert (found.pools, found.huge_pages) == ((PoolCounts(2 << 20, 8, 7, 1),), {2 << 20: 8})
    assert found.huge == (HugeRun(0x5800, 4096, 8, 0),)
    assert found.messages == (Message(6, 1.5, "Linux version 6.12"), Message(4, 2.0, "BUG: Bad page state"))
    assert str(found.messages[0]) == "[    1.500000] Linux version 6.12"
    assert found.hvo == 1


def test_a_kernel_may_lack_counters_and_hvo() -> None:
    found = read_guest(Guest({"/proc/meminfo": "MemFree: 4 kB"}).ask, [2 << 20], 4096)
    assert (found.mem_free, found.vmemmap, found.pools, found.hvo, found.huge) == (4096, {}, (), None, ())
