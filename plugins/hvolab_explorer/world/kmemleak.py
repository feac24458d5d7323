# SPDX-License-Identifier: GPL-2.0-only
"""Objects of kmemleak: pages of boot memory that its scanner reads.

Kernel: mm/kmemleak.c, v6.12. memblock_alloc_range_nid() registers what boot allocates with kmemleak_alloc_phys().
Left out: objects of other memory, and objects of several pages: here each page is one.
"""

from __future__ import annotations

from collections.abc import Callable

from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants import survey
from hvolab.machine import Cpu, Machine
from hvolab.machine.locks import Lock
from hvolab_explorer.steps.scheduler import Scheduler


class Kmemleak:
    """Pages that are registered with kmemleak, at first those of boot that back the vmemmap."""

    def __init__(self, machine: Machine, scheduler: Scheduler) -> None:
        self._machine = machine
        self._scheduler = scheduler
        backing = survey(machine).backing
        self._objects = set(backing[machine.records.reserved(backing)].tolist())

    def free_part(self, pfn: int) -> None:
        """Remove a page that is about to be freed. Kernel: kmemleak_free_part_phys(), __delete_object(), v6.12."""
        with self._lock(pfn):
            self._scheduler.footprint.writes.add(("kmemleak", pfn))
            self._objects.discard(pfn)

    def scan(self, cpu: Cpu, pfn: int) -> None:
        """Read the first and the last word of a page, if it is registered. Kernel: scan_object(), scan_block()."""
        first = self._machine.page_to_virt(pfn)
        with self._lock(pfn):
            self._scheduler.footprint.reads.add(("kmemleak", pfn))
            if pfn in self._objects:
                for va in (first, first + self._machine.target.mode.page_size - WORD_BYTES):
                    cpu.load_word(va)

    def _lock(self, pfn: int) -> Lock:
        return self._machine.locks.named(f"kmemleak object PFN {pfn:#x}")

    def save(self) -> Callable[[], None]:
        """Save the objects; return the function that restores them."""
        saved = frozenset(self._objects)

        def restore() -> None:
            self._objects = set(saved)

        return restore
