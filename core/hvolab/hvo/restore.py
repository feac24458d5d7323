# SPDX-License-Identifier: GPL-2.0-only
"""Restoring of tails: each is mapped to a page of its own again. Kernel: mm/hugetlb_vmemmap.c, v6.12."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arch import PgprotRole
from hvolab.arrays import consecutive_runs, equal_runs
from hvolab.errors import KernelBug
from hvolab.hvo.update import EntryUpdate
from hvolab.hvo.walk import PteRun, RemapWalk
from hvolab.machine.cpus.bulk import bulk_of, is_bulk
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.release import HvoVariant


class TailRestorer:
    """Callback of a walk that restores entries, as a variant of the kernel's code does.

    stepwise  every operation goes to the CPU by itself, in the kernel's order
    """

    def __init__(self, machine: Machine, cpu: Cpu, variant: HvoVariant, update: EntryUpdate) -> None:
        self.stepwise = update.can_fail or not is_bulk(cpu)
        self._machine = machine
        self._cpu = cpu
        self._bulk = bulk_of(cpu)
        self._variant = variant
        self._update = update
        self._target = machine.target
        self._last = machine.target.mode.last
        self._page_size = machine.target.mode.page_size
        layout = machine.struct_pages.layout
        self._reset_size = layout.reset_struct_pages * layout.size

    def __call__(self, run: PteRun, walk: RemapWalk) -> int:
        """Map each page of a run to a page of its own; return how many entries were replaced.

        Kernel: vmemmap_restore_pte(), reset_struct_pages(). In the series of 2026, where an update can be lost, tails
        may have pages of their own, and keep them.
        """
        if self._variant.copies_mapped:
            return self._restore_copies(run, walk)
        shared = run.frames == walk.reuse_pfn
        if not self._update.can_fail and not shared.all():
            wrong = int(np.flatnonzero(~shared)[0])
            raise KernelBug(
                f"a tail at VA {run.va + wrong * self._page_size:#x} is not mapped to the page to reuse",
                where=f"{self._target.describe(self._last.name, int(run.raws[wrong]))}, reuse PFN {walk.reuse_pfn:#x}",
                rule="BUG_ON() in vmemmap_restore_pte()",
                va=run.va + wrong * self._page_size,
            )
        starts, stops = equal_runs(shared)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            if shared[start]:
                done = self._restore_run(self._part(run, start, stop), walk)
                if done < stop - start:
                    return int(start + done)
        return run.raws.size

    def _part(self, run: PteRun, start: int, stop: int) -> PteRun:
        """Return entries ``start`` to ``stop`` of a run."""
        va, slot = run.va + start * self._page_size, run.slot + start * self._last.entry_bytes
        return PteRun(va, slot, run.raws[start:stop], run.frames[start:stop])

    def _restore_copies(self, run: PteRun, walk: RemapWalk) -> int:
        """Map each page of a run to a copy of its present page; a rollback skips pages that are not shared.

        Kernel: vmemmap_restore_pte(), Debian's 6.12.117.
        """
        machine, reuse = self._machine, walk.reuse_pfn
        restored = [i for i, frame in enumerate(run.frames.tolist()) if reuse is None or frame == reuse]
        pfns = walk.pages.pop_run(len(restored))
        entries = self._entries(pfns)
        if not machine.trace.listeners and not self.stepwise:
            self._bulk.copy_pages(self._direct(pfns), self._direct(run.frames[restored]))
            self._cpu.barrier("smp_wmb")
            for start, stop in zip(*consecutive_runs(np.array(restored)), strict=True):
                self._replace(self._part(run, restored[start], restored[stop - 1] + 1), entries[start:stop])
            return run.raws.size
        for done, (position, pfn) in enumerate(zip(restored, pfns.tolist(), strict=True)):
            self._cpu.copy_page(machine.page_to_virt(pfn), machine.page_to_virt(int(run.frames[position])))
            self._cpu.barrier("smp_wmb")
            if not self._replace(self._part(run, position, position + 1), entries[done : done + 1]):
                walk.pages.add_run(pfns[done:][::-1])
                return position
        return run.raws.size

    def _restore_run(self, run: PteRun, walk: RemapWalk) -> int:
        """Restore each page of a run, all at once unless there are listeners or an entry can be lost."""
        machine, cpu = self._machine, self._cpu
        pfns = walk.pages.pop_run(run.raws.size)
        entries = self._entries(pfns)
        if not machine.trace.listeners and not self.stepwise:
            fresh = self._direct(pfns)
            self._bulk.copy_pages(fresh, np.full_like(fresh, walk.reuse_va))
            self._bulk.copy_runs(fresh, fresh + np.uint64(self._reset_size), self._reset_size)
            cpu.barrier("smp_wmb")
            return self._replace(run, entries)
        for position, pfn in enumerate(pfns.tolist()):
            to = machine.page_to_virt(pfn)
            cpu.copy_page(to, walk.reuse_va)
            cpu.store(to, cpu.load(to + self._reset_size, self._reset_size))
            cpu.barrier("smp_wmb")
            if not self._replace(self._part(run, position, position + 1), entries[position : position + 1]):
                walk.pages.add_run(pfns[position:][::-1])
                return position
        return run.raws.size

    def _direct(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """Return the VAs of these PFNs in the direct map."""
        return np.array([self._machine.page_to_virt(pfn) for pfn in pfns.tolist()], dtype=np.uint64)

    def _entries(self, pfns: npt.ArrayLike) -> npt.NDArray[np.uint64]:
        """Return the entries that map these PFNs with PAGE_KERNEL."""
        return self._target.page_entries(np.asarray(pfns, dtype=np.int64), PgprotRole.KERNEL)

    def _replace(self, run: PteRun, entries: npt.NDArray[np.uint64]) -> int:
        """Replace the entries of a run; return how many were replaced."""
        return self._update.replace(run.slot, run.va, run.raws, entries)
