# SPDX-License-Identifier: GPL-2.0-only
"""Runs of folios that are alike, optimized or restored all at once.

A run leaves the same bytes, frames and counters as one folio after the other. The kernel has nothing of the kind; it is
what makes a batch of half a million folios affordable here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import PgprotRole
from hvolab.arrays import equal_runs, runs
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.sizes import VmemmapSizes
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.release.gfp import GFP_VMEMMAP_HEAD, GFP_VMEMMAP_RESTORE

#: VAs of head struct pages.
Folios = npt.NDArray[np.uint64]
#: Folios of one run at most: bounds the memory that one step needs.
_LONGEST = 1024


class _Run(NamedTuple):
    """Folios that are alike, and the entries that map their vmemmap.

    folios   VAs of their head struct pages
    private  the word with the HPG_ flags of each
    node     NUMA node of all
    slots    VA in the direct map of each folio's first entry
    frames   PFNs in the entries, shape (folios, vmemmap pages)
    """

    folios: Folios
    private: npt.NDArray[np.uint64]
    node: int
    slots: npt.NDArray[np.uint64]
    frames: npt.NDArray[np.int64]


class FolioRuns:
    """Optimizes and restores runs of folios on one CPU of a machine.

    stepwise  whether every folio must go by itself
    """

    def __init__(self, machine: Machine, cpu: Cpu, *, stepwise: bool) -> None:
        self._machine = machine
        self._cpu = cpu
        self._bulk = bulk_of(cpu)
        self._stepwise = stepwise
        self._target = machine.target
        mode = machine.target.mode
        self._last = mode.last
        self._last_depth = len(mode.levels) - 1
        self._table_shift = np.uint64(mode.levels[-2].shift)
        self._layout = machine.struct_pages.layout
        self._private = np.uint64(self._layout.private)
        self._optimized = np.uint64(1 << self._layout.hpg_vmemmap_optimized)

    def to_split(self, folios: Folios, span: int) -> list[int]:
        """Return the folios by which to split the vmemmap of all: the first of each table, and those with several.

        span  bytes of vmemmap of a folio
        """
        tables = folios >> self._table_shift
        several = tables != folios + np.uint64(span - 1) >> self._table_shift
        starts, _ = runs((tables[1:] != tables[:-1]) | several[1:], folios.size)
        chosen: list[int] = folios[starts].tolist()
        return chosen

    @staticmethod
    def cut(folios: Folios, at_once: Callable[[Folios], int]) -> Iterator[tuple[Folios, bool]]:
        """Yield folios in order: runs that `at_once` has processed, with True, and single folios, with False.

        at_once  processes folios at the front of an array, and returns their number
        """
        length = _LONGEST
        while folios.size:
            done = at_once(folios[:length])
            yield folios[: done or 1], bool(done)
            folios = folios[done or 1 :]
            length = min(2 * length, _LONGEST) if done else max(length // 2, 2)

    def optimize(
        self, folios: Folios, sizes: VmemmapSizes, pages: VmemmapPageAllocator, *, synchronize_rcu: bool
    ) -> int:
        """Optimize the folios at the front that are alike; return how many.

        Returns 0, with nothing changed, where the first folio has to go by itself: a step could fail, the trace has a
        listener, or the second folio differs.
        """
        run = self._alike(folios, sizes, optimized=False)
        machine = self._machine
        if run is None or not machine.optimize_enabled or machine.records.any_self_hosted(self._cpu, run.frames[:, 0]):
            return 0
        count = run.folios.size
        if not machine.frames.certain(count, GFP_VMEMMAP_HEAD, run.node):
            return 0
        machine.change_key(count)
        if synchronize_rcu:
            machine.synchronize_rcu()
        self._bulk.store_words(run.folios + self._private, run.private | self._optimized)
        heads = machine.alloc_pages_run(count, GFP_VMEMMAP_HEAD, run.node)
        self._bulk.copy_pages(self._virt(heads), run.folios)
        machine.memmap_pages_add(count)
        entries = np.empty(run.frames.shape, dtype=np.uint64)
        entries[:, 0] = self._target.page_entries(heads, PgprotRole.KERNEL)
        entries[:, 1:] = self._target.page_entries(heads, PgprotRole.KERNEL_RO)[:, None]
        self._cpu.barrier("smp_wmb")
        self._bulk.write_entry_rows(run.slots, entries)
        pages.add_run(run.frames.ravel())
        return count

    def restore(self, folios: Folios, sizes: VmemmapSizes, *, synchronize_rcu: bool) -> int:
        """Restore the folios at the front that are alike; return how many, 0 as :meth:`optimize` does."""
        run = self._alike(folios, sizes, optimized=True)
        machine, tails = self._machine, sizes.saved_pages
        if run is None or not (run.frames[:, 1:] == run.frames[:, :1]).all():
            return 0
        count = run.folios.size
        if not machine.frames.certain(count * tails, GFP_VMEMMAP_RESTORE, run.node):
            return 0
        if synchronize_rcu:
            machine.synchronize_rcu()
        pfns = machine.alloc_pages_run(count * tails, GFP_VMEMMAP_RESTORE, run.node)
        machine.memmap_pages_add(count * tails)
        # each folio maps the pages from the front of its own list: the last one allocated comes first
        pfns = pfns.reshape(count, tails)[:, ::-1]
        reset = self._layout.reset_struct_pages * self._layout.size
        for tail in range(tails):  # one tail of every folio: copies at even distances need one pass
            to = self._virt(pfns[:, tail])
            self._bulk.copy_pages(to, run.folios)
            self._bulk.copy_runs(to, to + np.uint64(reset), reset)
        self._cpu.barrier("smp_wmb")
        entries = self._target.page_entries(pfns, PgprotRole.KERNEL)
        self._bulk.write_entry_rows(run.slots + np.uint64(self._last.entry_bytes), entries)
        self._bulk.store_words(run.folios + self._private, run.private & ~self._optimized)
        machine.change_key(-count)
        return count

    def _alike(self, folios: Folios, sizes: VmemmapSizes, *, optimized: bool) -> _Run | None:
        """Return the folios at the front that are on one node, in this state, and mapped by one split table each.

        Returns None for fewer than two, and where every folio has to go by itself.
        """
        if folios.size < 2 or self._machine.trace.hears_calls or self._stepwise or not sizes.optimizable:
            return None
        layout, bulk = self._layout, self._bulk
        flags = bulk.load_words(folios + np.uint64(layout.flags))
        nodes = flags >> np.uint64(layout.node_shift)
        private = bulk.load_words(folios + self._private)
        one_table = folios >> self._table_shift == folios + np.uint64(sizes.size - 1) >> self._table_shift
        alike = (nodes == nodes[0]) & ((private & self._optimized != 0) == optimized) & one_table
        count = folios.size if alike.all() else int(alike.argmin())
        slots = self._slots(folios[:count])
        if slots.size < 2:
            return None
        raws = bulk.read_entry_rows(slots, sizes.pages)
        node, frames = layout.node(int(flags[0])), self._target.page_frames(raws)
        return _Run(folios[: slots.size], private[: slots.size], node, slots, frames)

    def _slots(self, folios: Folios) -> npt.NDArray[np.uint64]:
        """Return the VAs of the folios' first entries, up to one that a larger leaf maps."""
        starts, stops = equal_runs(folios >> self._table_shift)
        tables = []
        for first in folios[starts].tolist():
            depth, slot, _ = self._bulk.find_entry(self._machine.tables, first)
            if depth != self._last_depth:
                break
            tables.append(self._machine.virt(slot) - self._last.index(first) * self._last.entry_bytes)
        places = (folios >> np.uint64(self._last.shift)) & np.uint64(self._last.entries - 1)
        first_entries = np.repeat(np.array(tables, dtype=np.uint64), (stops - starts)[: len(tables)])
        return first_entries + places[: first_entries.size] * np.uint64(self._last.entry_bytes)

    def _virt(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """Return the VAs of frames in the direct map."""
        machine, shift = self._machine, np.uint64(self._target.mode.page_shift)
        first = machine.memory.first_pfn
        return np.uint64(machine.page_to_virt(first)) + ((pfns - first).astype(np.uint64) << shift)
