"""Runs of folios whose vmemmap one table maps: the steps of a batch for all of them at once.

It does to memory exactly what folio by folio would, and does nothing at all (telling so) where a step could fail,
somebody listens, or the folios are not alike: then the batch goes on folio by folio. In the kernel there is no such
thing; it is what makes a batch of half a million folios affordable here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import PgprotRole
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.sizes import VmemmapSizes
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.frames.gfp import GFP_VMEMMAP_HEAD, GFP_VMEMMAP_RESTORE
from hvolab.machine.machine import Machine

#: Folios of one run at most: bounds the memory that one step needs.
_LONGEST = 256


class _Run(NamedTuple):
    """Folios that are alike, and the entries that map their vmemmap.

    folios   VAs of their head struct pages
    private  the word with the HPG_ flags of each
    node     NUMA node of all
    slots    VA of each folio's first entry, in the direct map
    raws, frames  entries and the PFNs in them, shape (folios, vmemmap pages)
    """

    folios: npt.NDArray[np.uint64]
    private: npt.NDArray[np.uint64]
    node: int
    slots: npt.NDArray[np.uint64]
    raws: npt.NDArray[np.uint64]
    frames: npt.NDArray[np.int64]


class FolioRuns:
    """Optimizes and restores runs of folios on one CPU of a machine."""

    def __init__(self, machine: Machine, cpu: Cpu, *, stepwise: bool) -> None:
        self._machine = machine
        self._cpu = cpu
        self._bulk = bulk_of(cpu)
        self._stepwise = stepwise
        self._target = machine.target
        mode = machine.target.mode
        self._last = mode.last
        self._last_depth = len(mode.levels) - 1
        self._unit_shift = mode.levels[-2].shift
        self._layout = machine.struct_pages.layout
        self._optimized = np.uint64(1 << self._layout.hpg_vmemmap_optimized)
        self._kernel_ro = np.uint64(machine.target.bits(self._last.name, PgprotRole.KERNEL_RO))

    def neighbors(self, folios: npt.NDArray[np.uint64], span: int) -> Iterator[list[int]]:
        """Cut an array of folios into runs that follow each other in it and lie below one table."""
        if not folios.size:
            return
        shift = np.uint64(self._unit_shift)
        units, ends = folios >> shift, (folios + np.uint64(span - 1)) >> shift
        cut = (units[1:] != units[:-1]) | (units[1:] != ends[1:])
        starts = np.flatnonzero(np.concatenate(([True], cut)))
        del units, ends, cut  # a batch may be long, and this lives as long as it does
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), folios.size], strict=True):
            for first in range(start, stop, _LONGEST):
                yield folios[first : min(first + _LONGEST, stop)].tolist()

    def optimize(
        self, folios: list[int], sizes: VmemmapSizes, pages: VmemmapPageAllocator, *, synchronize_rcu: bool
    ) -> bool:
        """Optimize a run; False where it has to go folio by folio, and nothing was done."""
        run = self._look(folios, sizes)
        machine, count = self._machine, len(folios)
        if run is None or not machine.optimize_enabled or (run.private & self._optimized).any():
            return False
        if machine.records.any_self_hosted(self._cpu, run.frames[:, 0]):
            return False
        if not machine.frames.certain(count, GFP_VMEMMAP_HEAD, run.node):
            return False
        machine.change_key(count)
        if synchronize_rcu:
            machine.synchronize_rcu()
        self._bulk.store_words(run.folios + np.uint64(self._layout.private), run.private | self._optimized)
        heads = machine.alloc_pages_run(count, GFP_VMEMMAP_HEAD, run.node)
        self._bulk.copy_pages(self._virt(heads), run.folios)
        machine.memmap_pages_add(count)
        entries = np.empty_like(run.raws)
        entries[:, 0] = self._target.page_entries(heads, PgprotRole.KERNEL)
        entries[:, 1:] = self._target.page_entries(heads, PgprotRole.KERNEL_RO)[:, None]
        self._cpu.barrier("smp_wmb")
        self._bulk.write_entry_rows(run.slots, entries)
        pages.add_run(run.frames.ravel())
        return True

    def restore(self, folios: list[int], sizes: VmemmapSizes, *, synchronize_rcu: bool) -> bool:
        """Restore a run; False where it has to go folio by folio, and nothing was done."""
        run = self._look(folios, sizes)
        machine, tails = self._machine, sizes.saved_pages
        if run is None or not (run.private & self._optimized).all():
            return False
        if not (run.frames[:, 1:] == run.frames[:, :1]).all():
            return False
        count = len(folios) * tails
        if not machine.frames.certain(count, GFP_VMEMMAP_RESTORE, run.node):
            return False
        if synchronize_rcu:
            machine.synchronize_rcu()
        pfns = machine.alloc_pages_run(count, GFP_VMEMMAP_RESTORE, run.node)
        machine.memmap_pages_add(count)
        # each folio takes its pages from the front of its own list: the last one allocated comes first
        taken = pfns.reshape(len(folios), tails)[:, ::-1]
        to = self._virt(taken.ravel())
        self._bulk.copy_pages(to, np.repeat(run.folios, tails))
        reset = self._layout.reset_struct_pages * self._layout.size
        self._bulk.copy_runs(to, to + np.uint64(reset), reset)
        self._cpu.barrier("smp_wmb")
        entries = self._target.page_entries(taken.ravel(), PgprotRole.KERNEL).reshape(taken.shape)
        self._bulk.write_entry_rows(run.slots + np.uint64(self._last.entry_bytes), entries)
        self._bulk.store_words(run.folios + np.uint64(self._layout.private), run.private & ~self._optimized)
        machine.change_key(-len(folios))
        return True

    def _look(self, folios: list[int], sizes: VmemmapSizes) -> _Run | None:
        """What a run's folios are; ``None`` where they are not alike, or somebody wants to see each step."""
        machine = self._machine
        if len(folios) < 2 or machine.trace.listeners or self._stepwise or not sizes.optimizable:
            return None
        depth, slot, _ = self._bulk.find_entry(machine.tables, folios[0])
        if depth != self._last_depth:
            return None
        vas = np.array(folios, dtype=np.uint64)
        links = self._bulk.load_words(vas + np.uint64(self._layout.flags)) >> np.uint64(self._layout.node_shift)
        if (links != links[0]).any():
            return None
        table = machine.virt(slot) - self._last.index(folios[0]) * self._last.entry_bytes
        inside = (vas >> np.uint64(self._last.shift)) & np.uint64(self._last.entries - 1)
        slots = np.uint64(table) + inside * np.uint64(self._last.entry_bytes)
        raws = self._bulk.read_entry_rows(slots, sizes.pages)
        valid = self._target.page_form.recognize[0]
        if len(self._target.page_form.recognize) == 1 and ((raws & np.uint64(valid.mask)) != valid.value).any():
            return None
        private = self._bulk.load_words(vas + np.uint64(self._layout.private))
        frames = self._target.page_frames(raws.ravel()).reshape(raws.shape)
        return _Run(vas, private, int(links[0]) & ((1 << self._layout.node_bits) - 1), slots, raws, frames)

    def _virt(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """VAs of frames in the direct map."""
        machine, shift = self._machine, np.uint64(self._target.mode.page_shift)
        first = machine.memory.first_pfn
        return np.uint64(machine.page_to_virt(first)) + ((pfns - first).astype(np.uint64) << shift)
