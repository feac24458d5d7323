# SPDX-License-Identifier: GPL-2.0-only
"""Walk of a range of vmemmap: splits its PMDs, and hands its PTEs to a callback, table by table.

Kernel: mm/hugetlb_vmemmap.c, v6.12.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, PgprotRole
from hvolab.errors import MachineError
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.update import Entries, EntryUpdate, PlainStores
from hvolab.machine.cpus.bulk import bulk_of, is_bulk
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.release import HvoVariant

ENOMEM = errno.ENOMEM
EAGAIN = errno.EAGAIN
#: Not an errno of user space. Kernel: ENOTSUPP in include/linux/errno.h.
ENOTSUPP = 524
_TYPE_BYTES = 4
_TYPE_SHIFT = 24
#: Entries that point to tables and are remembered, at most.
_POINTERS = 256


# flags of a walk. Kernel: VMEMMAP_SPLIT_NO_TLB_FLUSH and its neighbors, v6.12
SPLIT_NO_TLB_FLUSH = 1 << 0
REMAP_NO_TLB_FLUSH = 1 << 1
SYNCHRONIZE_RCU = 1 << 2


@dataclass(slots=True)
class PteRun:
    """Neighboring entries of one page table.

    va      VA that the first maps
    slot    PA of the first
    raws    the entries
    frames  the PFNs in them
    """

    va: int
    slot: int
    raws: Entries
    frames: npt.NDArray[np.int64]


@dataclass(slots=True)
class RemapWalk:
    """State of one walk. Kernel: struct vmemmap_remap_walk in mm/hugetlb_vmemmap.c, v6.12.

    remap_pte    changes a run of entries, and returns how many it has changed; None: PMDs are split, nothing else
    remap_one    changes the entry at a VA and the PA of its slot; returns False if it is lost. None: ``remap_pte`` does
    flags        SPLIT_NO_TLB_FLUSH and the like
    reuse_va     VA of the head page
    pages        pages to map, or that are no longer mapped
    reuse_pfn    frame that tails are mapped to, or the head's new one
    tail_pfn     frame that tails are mapped to if it is not the head's
    reads_reuse  the first entry is not changed if there is no ``reuse_pfn``, which is read from it
    nr_walked    entries walked
    """

    remap_pte: Callable[[PteRun, RemapWalk], int] | None
    flags: int
    reuse_va: int
    pages: VmemmapPageAllocator
    reuse_pfn: int | None = None
    tail_pfn: int | None = None
    reads_reuse: bool = True
    nr_walked: int = 0
    remap_one: Callable[[int, int, int, RemapWalk], bool] | None = None


class VmemmapWalker:
    """Walks ranges of vmemmap on one CPU of a machine, as a variant of the kernel's code does."""

    def __init__(self, machine: Machine, cpu: Cpu, variant: HvoVariant, update: EntryUpdate) -> None:
        self._machine = machine
        self._cpu = cpu
        self._variant = variant
        self._update = update
        self._store = PlainStores(machine, cpu).store
        self._bulk = bulk_of(cpu)
        self._target = machine.target
        self._mode = mode = machine.target.mode
        self._middle, self._last = mode.levels[-2:]
        self._page_shift = mode.page_shift
        self._page_table_lock = machine.locks.page_table_lock
        self._has_bulk = is_bulk(cpu)
        self._leaf = mode.format.leaf_form(self._middle.name)
        self._last_depth = len(mode.levels) - 1
        #: Entries that point to tables, by the table's PFN.
        self._pointers: dict[int, int] = {}

    def walk(self, start: int, end: int, walk: RemapWalk) -> int:
        """Walk ``[start, end)``; return 0 or a negative errno. Kernel: vmemmap_remap_range()."""
        with self._machine.locks.mmap_lock.shared:
            result = self._walk_range(start, end, walk)
        if result:
            return result
        if walk.remap_pte is not None and not walk.flags & REMAP_NO_TLB_FLUSH:
            first = start if self._variant.flushes_head else start + self._mode.page_size
            self._machine.flush_tlb_kernel_range(first, end)
        return 0

    def _walk_range(self, start: int, end: int, walk: RemapWalk) -> int:
        """Walk PMD by PMD. Kernel: walk_page_range_novma() in mm/pagewalk.c."""
        size = self._middle.size
        va = start
        while va < end:
            following = min((va // size + 1) * size, end)
            result, slot = self._pmd_entry(va, walk)
            if result:
                return result
            if walk.remap_pte is not None:
                result = self._table_entries(va, (following - va) >> self._page_shift, slot, walk)
                if result:
                    # v6.12 cannot fail here; later kernels flush the changed entries before they return
                    self._machine.flush_tlb_kernel_range(start, end)
                    return result
            va = following
        return 0

    def frame_of(self, va: int) -> int:
        """Return the PFN that ``va`` is mapped to."""
        return self._find_entry(va)[1]

    def _pmd_entry(self, va: int, walk: RemapWalk) -> tuple[int, int]:
        """Split the PMD of ``va`` if it is a leaf; return the result, and the PA of the PTE of ``va``.

        Kernel: vmemmap_pmd_entry().
        """
        with self._page_table_lock:
            slot, pfn, head = self._find_entry(va)
            if not walk.nr_walked and self._machine.records.self_hosted(self._cpu, pfn):
                return -ENOTSUPP, slot
        if head is None:
            return 0, slot
        result = self._split_pmd(va & ~(self._middle.size - 1), head, slot, walk)
        if result or walk.remap_pte is None:
            return result, slot
        return 0, self._find_entry(va)[0]

    def _find_entry(self, va: int) -> tuple[int, int, int | None]:
        """Return the PA of the entry that maps ``va``, the PFN there, and the first PFN of a PMD leaf (PTE: None)."""
        tables = self._machine.tables
        depth, slot, raw = self._bulk.find_entry(tables, va)
        if depth == self._last_depth:
            return slot, self._target.page_form.get_address(raw) >> self._page_shift, None
        if depth == self._last_depth - 1 and self._leaf is not None and self._is_leaf(raw):
            head = self._leaf.get_address(raw) >> self._page_shift
            return slot, head + self._last.index(va), head
        raise MachineError(
            f"the vmemmap at VA {va:#x} is not mapped by {self._middle.name} or {self._last.name}",
            where=tables.describe(va),
            hint="check the vmemmap base and the page tables: HVO needs mapped struct pages",
        )

    def _is_leaf(self, raw: int) -> bool:
        return self._mode.format.classify(self._middle.name, raw) is EntryKind.LEAF

    def _split_pmd(self, va: int, head: int, slot: int, walk: RemapWalk) -> int:
        """Replace the PMD leaf at PA ``slot``, which maps ``head``, by a table. Kernel: vmemmap_split_pmd()."""
        machine = self._machine
        table = machine.alloc_pages(self._variant.table_gfp, 0)
        if table is None:
            return -ENOMEM
        if self._variant.marks_tables:
            self._mark_table(table)
        pfns = np.arange(head, head + self._last.entries, dtype=np.int64)
        entries = self._target.page_entries(pfns, PgprotRole.KERNEL)
        self._store(self._last.name, table << self._page_shift, va, np.zeros_like(entries), entries, live=False)
        with self._page_table_lock:
            return self._populate(va, head, slot, table, walk)

    def _populate(self, va: int, head: int, slot: int, table: int, walk: RemapWalk) -> int:
        """Store the table in the PMD at PA ``slot``, if that is still a leaf; free the table otherwise."""
        machine = self._machine
        raw = self._cpu.read_entry(machine.virt(slot))
        split_meanwhile = not self._is_leaf(raw)
        if split_meanwhile or (self._update.can_fail and not machine.admit_update(self._cpu, self._middle.name, va)):
            machine.free_pages(table, 0)
            return 0 if split_meanwhile else -EAGAIN
        if not machine.records.reserved(np.array([head], dtype=np.int64))[0]:
            machine.split_page(head, self._middle.shift - self._page_shift)
        self._cpu.barrier("smp_wmb")
        pointer = np.array([self._pointer(table)], dtype=np.uint64)
        self._store(self._middle.name, slot, va, np.array([raw], dtype=np.uint64), pointer, live=True)
        if not walk.flags & SPLIT_NO_TLB_FLUSH:
            machine.flush_tlb_kernel_range(va, va + self._middle.size)
        return 0

    def _pointer(self, table: int) -> int:
        """Return the PMD entry that points to the table in a frame; an explorer needs the same few again and again."""
        known = self._pointers.get(table)
        if known is None:
            if len(self._pointers) >= _POINTERS:
                self._pointers.clear()
            known = self._pointers[table] = self._target.table(self._middle.name, table)
        return known

    def _mark_table(self, pfn: int) -> None:
        """Mark a frame as a page table of the kernel's own. Kernel: pte_alloc_one_kernel(), v7.2."""
        machine, cpu, page = self._machine, self._cpu, self._machine.struct_pages.va(pfn)
        layout = machine.struct_pages.layout
        cpu.store_word(page + layout.flags, cpu.load_word(page + layout.flags) | 1 << layout.pt_kernel)
        page_type = layout.page_type_table << _TYPE_SHIFT
        cpu.store(page + layout.page_type, page_type.to_bytes(_TYPE_BYTES, machine.target.architecture.byte_order))

    def _table_entries(self, va: int, count: int, slot: int, walk: RemapWalk) -> int:
        """Hand the entries of one table to the callback: one by one, as the kernel does, on a CPU without bulk."""
        if self._has_bulk:
            return self._pte_entries(va, count, slot, walk)
        for position in range(count):
            page, entry = position << self._page_shift, position * self._last.entry_bytes
            if walk.remap_one is None:
                result = self._pte_entries(va + page, 1, slot + entry, walk)
            else:
                result = self._pte_entry(va + page, slot + entry, walk)
            if result:
                return result
        return 0

    def _pte_entry(self, va: int, slot: int, walk: RemapWalk) -> int:
        """Hand the entry at PA ``slot`` to the callback, without arrays; return 0 or -EAGAIN.

        Kernel: vmemmap_pte_entry().
        """
        raw = self._cpu.read_entry(self._machine.virt(slot))
        if walk.reuse_pfn is None and walk.reads_reuse:
            walk.reuse_pfn = self._target.page_form.get_address(raw) >> self._page_shift
        elif walk.remap_one is None or not walk.remap_one(va, slot, raw, walk):
            return -EAGAIN
        walk.nr_walked += 1
        return 0

    def _pte_entries(self, va: int, count: int, slot: int, walk: RemapWalk) -> int:
        """Hand ``count`` entries of one table, from PA ``slot`` on, to the callback; return 0 or -EAGAIN.

        Kernel: vmemmap_pte_entry().
        """
        assert walk.remap_pte is not None  # noqa: S101 - walk() has checked it
        raws = self._bulk.read_entries(self._machine.virt(slot), count)
        frames = self._target.page_frames(raws)
        if walk.reuse_pfn is None and walk.reads_reuse:
            walk.reuse_pfn = int(frames[0])
            walk.nr_walked += 1
            if count == 1:
                return 0
            va, slot, raws, frames = va + self._mode.page_size, slot + self._last.entry_bytes, raws[1:], frames[1:]
        done = walk.remap_pte(PteRun(va, slot, raws, frames), walk)
        walk.nr_walked += done
        return 0 if done == raws.size else -EAGAIN
