# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of vmemmap: split, remapped to the head's page, restored; and the lists of pages for that.

Kernel: mm/hugetlb_vmemmap.c, v6.12.
"""

from __future__ import annotations

import numpy as np

from hvolab.arch import PgprotRole
from hvolab.arithmetic import WORD_SHIFT
from hvolab.arrays import runs
from hvolab.errors import KernelBug
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.restore import TailRestorer
from hvolab.hvo.update import entry_update
from hvolab.hvo.walk import ENOMEM, SPLIT_NO_TLB_FLUSH, PteRun, RemapWalk, VmemmapWalker
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.release import HvoVariant
from hvolab.release.gfp import GFP_VMEMMAP_TAIL

#: Result of an optimization whose rollback failed too: the folio stays partly optimized. Kernel: series of 2026.
INCOMPLETE = 1
#: Most frames freed at once: bounds the memory that freeing a long list needs.
_FREE_CHUNK = 1 << 14


class VmemmapRemap:
    """Remaps ranges of vmemmap on one CPU of a machine, as a variant of the kernel's code does."""

    def __init__(self, machine: Machine, cpu: Cpu, variant: HvoVariant) -> None:
        self.machine = machine
        self.variant = variant
        self.cpu = cpu
        target, mode = machine.target, machine.target.mode
        self._put_address, self._get_address = target.page_form.put_address, target.page_form.get_address
        self._page_shift = mode.page_shift
        self._page_size = mode.page_size
        self._kernel = target.bits(mode.last.name, PgprotRole.KERNEL)
        self._kernel_ro = target.bits(mode.last.name, PgprotRole.KERNEL_RO)
        self._layout = machine.struct_pages.layout
        self._update = entry_update(target, machine, cpu)
        self._restore = TailRestorer(machine, cpu, variant, self._update)
        #: True if every operation goes to the CPU by itself, in the kernel's order.
        self.stepwise = self._restore.stepwise
        self._walker = VmemmapWalker(machine, cpu, variant, self._update)

    def self_hosted(self, folio: int) -> bool:
        """Return the mark of the page with the head's struct page. Kernel: vmemmap_should_optimize(), v6.1."""
        return self.machine.records.self_hosted(self.cpu, self._walker.frame_of(folio & -self._page_size))

    def tail_page(self, folio: int, order: int) -> int | None:
        """Return the page that tails of the folio's order and zone share; None if memory is exhausted.

        Allocated on first use. Kernel: vmemmap_get_tail(), init_compound_tail(), v7.2.
        """
        machine, layout = self.machine, self._layout
        flags = self.cpu.load_word(folio + layout.flags)
        node, zone = layout.node(flags), layout.zone(flags)
        known = machine.vmemmap_tails.get((node, zone, order))
        if known is not None:
            return known
        pfn = machine.alloc_pages(GFP_VMEMMAP_TAIL, 0, node)
        if pfn is not None:
            tails = np.zeros((self._page_size // layout.size, layout.words), dtype=machine.memory.words.dtype)
            tails[:, layout.flags >> WORD_SHIFT] = node << layout.node_shift | zone << layout.zone_shift
            machine.struct_pages.make_tails(tails, 0, order)
            self.cpu.store(machine.page_to_virt(pfn), tails.tobytes())
            shared = machine.vmemmap_tails.setdefault((node, zone, order), pfn)
            if shared != pfn:  # another CPU was faster: cmpxchg()
                machine.free_pages(pfn, 0, self.cpu)
            return shared
        return pfn

    # ranges

    def split(self, start: int, end: int) -> int:
        """Split the PMDs that map the range, without flushing. Kernel: vmemmap_remap_split()."""
        return self._walker.walk(start, end, RemapWalk(None, SPLIT_NO_TLB_FLUSH, start, VmemmapPageAllocator()))

    def free(self, reuse: int, end: int, pages: VmemmapPageAllocator, flags: int, tail: int | None = None) -> int:
        """Remap ``[reuse, end)`` to one page, and put the unmapped pages on ``pages``; roll back on error.

        tail  the page that tails are mapped to; None: the head's
        Returns 0, a negative errno, or INCOMPLETE if the rollback failed too.
        Kernel: vmemmap_remap_free().
        """
        machine, variant = self.machine, self.variant
        walk = RemapWalk(self._remap_ptes, flags, reuse, pages, tail_pfn=tail, remap_one=self._remap_pte)
        if variant.head_gfp is not None:
            node = self._layout.node(self.cpu.load_word(reuse + self._layout.flags))
            walk.reuse_pfn = machine.alloc_pages(variant.head_gfp, 0, node)
        if walk.reuse_pfn is None and variant.head_required:
            return -ENOMEM
        if walk.reuse_pfn is not None:
            self.cpu.copy_page(machine.page_to_virt(walk.reuse_pfn), reuse)
            pages.add(walk.reuse_pfn)
            self._count(1)
        result = self._walker.walk(reuse, end, walk)
        if result and walk.nr_walked:
            end = reuse + walk.nr_walked * self._page_size
            back = RemapWalk(self._restore, 0, reuse, pages, reads_reuse=variant.walks_head)
            if not variant.walks_head:  # the head is one of those that are mapped to the new page, if tails are too
                back.reuse_pfn = walk.reuse_pfn if tail is None else tail
            if self._walker.walk(reuse, end, back):
                return INCOMPLETE
        return result

    def alloc(self, reuse: int, end: int, flags: int) -> int:
        """Map every tail page of ``[reuse, end)`` to a page of its own again. Kernel: vmemmap_remap_alloc()."""
        pages, variant = self.new_page_list(), self.variant
        first_tail = reuse + self._page_size
        if not self._alloc_page_list(first_tail, end, pages):
            return -ENOMEM
        walk = RemapWalk(self._restore, flags, reuse, pages, reads_reuse=variant.walks_head)
        result = self._walker.walk(reuse if variant.walks_head else first_tail, end, walk)
        if len(pages) and self._update.can_fail:  # some tails had pages of their own, or an entry was lost
            self.free_page_list(pages)
        return result

    def _remap_ptes(self, run: PteRun, walk: RemapWalk) -> int:
        """Map a run of pages to the page to reuse, tails read-only; return how many entries were replaced.

        Kernel: vmemmap_remap_pte().
        """
        assert walk.reuse_pfn is not None  # noqa: S101 - free() or the first entry has set it
        tail = walk.reuse_pfn if walk.tail_pfn is None else walk.tail_pfn
        entries = np.empty(run.raws.size, dtype=np.uint64)
        entries.fill(self._put_address(tail << self._page_shift) | self._kernel_ro)
        if run.va == walk.reuse_va:
            entries[0] = self._take_head_page(walk.reuse_pfn, walk.pages)
        done = self._update.replace(run.slot, run.va, run.raws, entries)
        if not done and run.va == walk.reuse_va:
            walk.pages.add(walk.reuse_pfn)
        walk.pages.add_run(run.frames[:done])
        return done

    def _remap_pte(self, va: int, slot: int, raw: int, walk: RemapWalk) -> bool:
        """Map one page to the page to reuse, as :meth:`_remap_ptes` maps a run; return False if the entry is lost.

        Kernel: vmemmap_remap_pte().
        """
        assert walk.reuse_pfn is not None  # noqa: S101 - as above
        if va == walk.reuse_va:
            entry = self._take_head_page(walk.reuse_pfn, walk.pages)
        else:
            tail = walk.reuse_pfn if walk.tail_pfn is None else walk.tail_pfn
            entry = self._put_address(tail << self._page_shift) | self._kernel_ro
        done = self._update.replace_one(slot, va, raw, entry)
        if done:
            walk.pages.add(self._get_address(raw) >> self._page_shift)
        elif va == walk.reuse_va:
            walk.pages.add(walk.reuse_pfn)
        return done

    def _take_head_page(self, pfn: int, pages: VmemmapPageAllocator) -> int:
        """Remove the new head page from the list; return the entry that maps it."""
        first = pages.pop()
        if first != pfn:
            raise KernelBug(f"the new head page {pfn:#x} is not first on the list, {first:#x} is")
        self.cpu.barrier("smp_wmb")
        return self._put_address(pfn << self._page_shift) | self._kernel

    # lists of pages

    def new_page_list(self) -> VmemmapPageAllocator:
        """Return an empty list of pages, in the variant's order."""
        return VmemmapPageAllocator(first_in_first_out=self.variant.first_in_first_out)

    def _alloc_page_list(self, start: int, end: int, pages: VmemmapPageAllocator) -> bool:
        """Allocate a page for each page of the range, or none. Kernel: alloc_vmemmap_page_list()."""
        machine = self.machine
        count = (end - start) >> self._page_shift
        node = self._layout.node(self.cpu.load_word(start + self._layout.flags))
        pages.add_run(machine.alloc_pages_run(count, self.variant.restore_gfp, node))
        if len(pages) < count:
            machine.free_page_run(pages.pop_run(len(pages)))
            return False
        self._count(count)
        return True

    def free_page_list(self, pages: VmemmapPageAllocator) -> None:
        """Free every page of the list, from first to last. Kernel: free_vmemmap_page_list()."""
        machine = self.machine
        for pfns in pages.take_chunks(_FREE_CHUNK):
            reserved = machine.records.reserved(pfns)
            if machine.trace.single_steps:
                for pfn, boot in zip(pfns.tolist(), reserved.tolist(), strict=True):
                    self._free_page(pfn, boot=boot)
                continue
            starts, stops = runs(reserved[1:] != reserved[:-1], pfns.size)
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
                if reserved[start]:
                    self._count(start - stop, boot=True)
                    machine.free_bootmem_run(pfns[start:stop])
                else:
                    self._count(start - stop)
                    machine.free_page_run(pfns[start:stop])

    def _free_page(self, pfn: int, *, boot: bool) -> None:
        """Free one page. Kernel: free_vmemmap_page()."""
        self._count(-1, boot=boot)
        if boot:
            self.machine.free_bootmem_page(pfn)
        else:
            self.machine.free_pages(pfn, 0)

    def _count(self, pages: int, *, boot: bool = False) -> None:
        """Count pages of vmemmap, if the variant does.

        Kernel: memmap_pages_add() in mm/vmstat.c, memmap_boot_pages_add().
        """
        if self.variant.counts_memmap:
            (self.machine.memmap_boot_pages_add if boot else self.machine.memmap_pages_add)(pages)
