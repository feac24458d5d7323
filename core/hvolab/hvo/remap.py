"""One range of vmemmap: split its PMDs, remap its tails to the head's page, or give them pages of their own again."""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, PgprotRole
from hvolab.errors import KernelBug, MachineError
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.update import EntryUpdate, entry_update
from hvolab.hvo.variants import V6_12, HvoVariant
from hvolab.machine.cpus.bulk import bulk_of, is_bulk
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.frames.gfp import GFP_VMEMMAP_TAIL
from hvolab.machine.machine import Machine
from hvolab.trace import EntriesStored

ENOMEM = errno.ENOMEM
EAGAIN = errno.EAGAIN
#: An optimize that failed, and whose rollback failed too: the folio stays partly optimized. Kernel: series of 2026.
INCOMPLETE = 1
#: The kernel's own number, which user space never sees.
ENOTSUPP = 524
_WORD_SHIFT = 3
_HALF = 4
_TYPE_SHIFT = 24
#: Frames freed at once: bounds what the bookkeeping of a large batch needs beside the list itself.
_FREE_CHUNK = 1 << 14


class RemapFlag(enum.IntFlag):
    """Flags of a walk. Kernel: VMEMMAP_SPLIT_NO_TLB_FLUSH and its neighbors, v6.12."""

    SPLIT_NO_TLB_FLUSH = 1 << 0
    REMAP_NO_TLB_FLUSH = 1 << 1
    SYNCHRONIZE_RCU = 1 << 2


# plain integers, because an IntFlag is slow to test
_SPLIT_NO_TLB_FLUSH = int(RemapFlag.SPLIT_NO_TLB_FLUSH)
_REMAP_NO_TLB_FLUSH = int(RemapFlag.REMAP_NO_TLB_FLUSH)


class Action(enum.Enum):
    """What a walk does with the entries. Kernel: the ``remap_pte`` callback of the walk."""

    SPLIT_ONLY = "vmemmap_split_pmd"
    REMAP = "vmemmap_remap_pte"
    RESTORE = "vmemmap_restore_pte"


@dataclass(slots=True)
class RemapWalk:
    """State of one walk. Kernel: struct vmemmap_remap_walk in mm/hugetlb_vmemmap.c, v6.12."""

    action: Action
    flags: int
    reuse_va: int
    pages: VmemmapPageAllocator
    reuse_pfn: int | None = None
    tail_pfn: int | None = None
    nr_walked: int = 0


class VmemmapRemap:
    """Walks ranges of vmemmap on one CPU of a machine, as one form of the kernel's code does."""

    def __init__(self, machine: Machine, cpu: Cpu, variant: HvoVariant = V6_12) -> None:
        self.machine = machine
        self.variant = variant
        self.cpu = cpu
        self._bulk = bulk_of(cpu)
        target = machine.target
        mode = target.mode
        self._target = target
        self._format = mode.format
        self._last = mode.last
        self._middle = mode.levels[-2]
        self._last_depth = len(mode.levels) - 1
        self._page_shift = mode.page_shift
        self._page_size = mode.page_size
        self._kernel = target.bits(self._last.name, PgprotRole.KERNEL)
        self._kernel_ro = target.bits(self._last.name, PgprotRole.KERNEL_RO)
        layout = machine.struct_pages.layout
        self._layout = layout
        self._reset_size = layout.reset_struct_pages * layout.size
        self._update: EntryUpdate = entry_update(target, machine, cpu)
        #: Whether every operation goes to the CPU by itself, in the kernel's order.
        self.stepwise = self._update.can_fail or not is_bulk(cpu)

    def new_page_list(self) -> VmemmapPageAllocator:
        """An empty list of pages, which is filled as the form has it."""
        return VmemmapPageAllocator(first_in_first_out=self.variant.first_in_first_out)

    def self_hosted(self, folio: int) -> bool:
        """Whether the page with the head's struct page is marked. Kernel: vmemmap_should_optimize(), v6.1."""
        page = folio & -self._page_size
        return self.machine.records.self_hosted(self.cpu, self._find_entry(page)[1])

    def tail_page(self, folio: int, order: int) -> int | None:
        """The page that the tails of optimized folios of an order share in the folio's zone; None: no memory for it.

        It is made with the first of them. Kernel: vmemmap_get_tail(), init_compound_tail(), v7.2.
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
            tails[:, layout.flags >> _WORD_SHIFT] = node << layout.node_shift | zone << layout.zone_shift
            machine.struct_pages.make_tails(tails, 0, order)
            self.cpu.store(machine.page_to_virt(pfn), tails.tobytes())
            machine.vmemmap_tails[node, zone, order] = pfn
        return pfn

    # ranges

    def split(self, start: int, end: int) -> int:
        """Split the PMDs that map the range, without flushing. Kernel: vmemmap_remap_split()."""
        return self._walk(start, end, RemapWalk(Action.SPLIT_ONLY, _SPLIT_NO_TLB_FLUSH, start, VmemmapPageAllocator()))

    def free(self, reuse: int, end: int, pages: VmemmapPageAllocator, flags: int, tail: int | None = None) -> int:
        """Remap ``[reuse, end)`` to one page, put the pages that fall free on ``pages``; roll back on error.

        tail  the page that tails are mapped to; None: the head's
        Gives 0, a negative errno, or INCOMPLETE where the rollback could not be completed either.
        Kernel: vmemmap_remap_free().
        """
        machine, variant = self.machine, self.variant
        walk = RemapWalk(Action.REMAP, flags, reuse, pages, tail_pfn=tail)
        if variant.head_gfp is not None:
            node = self._layout.node(self.cpu.load_word(reuse + self._layout.flags))
            walk.reuse_pfn = machine.alloc_pages(variant.head_gfp, 0, node)
        if walk.reuse_pfn is None and variant.head_required:
            return -ENOMEM
        if walk.reuse_pfn is not None:
            self.cpu.copy_page(machine.page_to_virt(walk.reuse_pfn), reuse)
            pages.add(walk.reuse_pfn)
            self._count(1)
        result = self._walk(reuse, end, walk)
        if result and walk.nr_walked:
            end = reuse + walk.nr_walked * self._page_size
            back = RemapWalk(Action.RESTORE, 0, reuse, pages)
            if not variant.walks_head:  # the head is one of those that are mapped to the new page, if tails are too
                back.reuse_pfn = walk.reuse_pfn if tail is None else tail
            if self._walk(reuse, end, back):
                return INCOMPLETE
        return result

    def alloc(self, reuse: int, end: int, flags: int) -> int:
        """Give every tail page of ``[reuse, end)`` a page of its own again. Kernel: vmemmap_remap_alloc()."""
        pages = self.new_page_list()
        first_tail = reuse + self._page_size
        if not self._alloc_page_list(first_tail, end, pages):
            return -ENOMEM
        start = reuse if self.variant.walks_head else first_tail
        result = self._walk(start, end, RemapWalk(Action.RESTORE, flags, reuse, pages))
        if len(pages) and self._update.can_fail:  # pages of their own were left, or an entry was lost
            self.free_page_list(pages)
        return result

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
        """Give every page of the list back, from first to last. Kernel: free_vmemmap_page_list()."""
        machine = self.machine
        limit = 1 if machine.trace.single_steps else _FREE_CHUNK
        for pfns in pages.take_chunks(_FREE_CHUNK):
            reserved = machine.records.reserved(pfns)
            for start, stop in _runs(reserved, limit):
                if reserved[start]:
                    self._count(start - stop, boot=True)
                    machine.free_bootmem_run(pfns[start:stop])
                else:
                    self._count(start - stop)
                    machine.free_page_run(pfns[start:stop])

    def _count(self, pages: int, *, boot: bool = False) -> None:
        """Count pages of vmemmap, if this form's kernel does. Kernel: memmap_pages_add(), memmap_boot_pages_add()."""
        if self.variant.counts_memmap:
            (self.machine.memmap_boot_pages_add if boot else self.machine.memmap_pages_add)(pages)

    # the walk

    def _walk(self, start: int, end: int, walk: RemapWalk) -> int:
        """Kernel: vmemmap_remap_range()."""
        size = self._middle.size
        va = start
        while va < end:
            following = min((va // size + 1) * size, end)
            result, slot = self._pmd_entry(va, walk)
            if result:
                return result
            if walk.action is not Action.SPLIT_ONLY:
                result = self._pte_entries(va, (following - va) >> self._page_shift, slot, walk)
                if result:
                    # v6.12 cannot fail here; later kernels flush what was done before they give up
                    self.machine.flush_tlb_kernel_range(start, end)
                    return result
            va = following
        if walk.action is not Action.SPLIT_ONLY and not walk.flags & _REMAP_NO_TLB_FLUSH:
            self.machine.flush_tlb_kernel_range(start if self.variant.flushes_head else start + self._page_size, end)
        return 0

    def _pmd_entry(self, va: int, walk: RemapWalk) -> tuple[int, int]:
        """Split the PMD of ``va`` if it is a leaf; return the result, and the PA of the PTE of ``va``.

        Kernel: vmemmap_pmd_entry().
        """
        slot, pfn, head = self._find_entry(va)
        if not walk.nr_walked and self.machine.records.self_hosted(self.cpu, pfn):
            return -ENOTSUPP, slot
        if head is None:
            return 0, slot
        result = self._split_pmd(va & ~(self._middle.size - 1), head, slot, walk)
        if result or walk.action is Action.SPLIT_ONLY:
            return result, slot
        return 0, self._find_entry(va)[0]

    def _find_entry(self, va: int) -> tuple[int, int, int | None]:
        """Return the PA of the entry that maps ``va``, the PFN there, and the first PFN of a PMD leaf (PTE: None)."""
        tables = self.machine.tables
        depth, slot, raw = self._bulk.find_entry(tables, va)
        if depth == self._last_depth:
            return slot, self._target.page_form.get_address(raw) >> self._page_shift, None
        if depth == self._last_depth - 1 and self._is_leaf(raw):
            form = self._format.form(self._middle.name, EntryKind.LEAF)
            head = form.get_address(raw) >> self._page_shift
            return slot, head + self._last.index(va), head
        raise MachineError(
            f"the vmemmap at VA {va:#x} is not mapped by {self._middle.name} or {self._last.name}",
            where=tables.describe(va),
            hint="HVO needs struct pages that are there: check the vmemmap base and the page tables",
        )

    def _is_leaf(self, raw: int) -> bool:
        return self._format.classify(self._middle.name, raw) is EntryKind.LEAF

    def _split_pmd(self, va: int, head: int, slot: int, walk: RemapWalk) -> int:
        """Replace the PMD leaf at PA ``slot``, which maps ``head``, by a table. Kernel: vmemmap_split_pmd()."""
        machine = self.machine
        table = machine.alloc_pages(self.variant.table_gfp, 0)
        if table is None:
            return -ENOMEM
        if self.variant.marks_tables:
            self._mark_table(table)
        pfns = np.arange(head, head + self._last.entries, dtype=np.int64)
        entries = self._target.page_entries(pfns, PgprotRole.KERNEL)
        self._store(self._last.name, table << self._page_shift, va, np.zeros_like(entries), entries, live=False)
        raw = self.cpu.load_word(machine.virt(slot))
        if not self._is_leaf(raw):  # somebody else has split it meanwhile
            machine.free_pages(table, 0)
            return 0
        if self._update.can_fail and not machine.table_updates.admit(1, 0):
            machine.free_pages(table, 0)
            return -EAGAIN
        if not machine.records.reserved(np.array([head], dtype=np.int64))[0]:
            machine.split_page(head, self._middle.shift - self._page_shift)
        self.cpu.barrier("smp_wmb")
        pointer = np.array([self._target.table(self._middle.name, table)], dtype=np.uint64)
        self._store(self._middle.name, slot, va, np.array([raw], dtype=np.uint64), pointer, live=True)
        if not walk.flags & _SPLIT_NO_TLB_FLUSH:
            machine.flush_tlb_kernel_range(va, va + self._middle.size)
        return 0

    def _mark_table(self, pfn: int) -> None:
        """Mark a frame as a page table of the kernel's own. Kernel: pte_alloc_one_kernel(), pagetable_ctor(), v7.2."""
        layout, cpu, page = self._layout, self.cpu, self.machine.struct_pages.va(pfn)
        cpu.store_word(page + layout.flags, cpu.load_word(page + layout.flags) | 1 << layout.pt_kernel)
        kind = layout.page_type_table << _TYPE_SHIFT
        little = self._target.architecture.byte_order == "little"
        cpu.store(page + layout.page_type, kind.to_bytes(_HALF, "little" if little else "big"))

    def _pte_entries(self, va: int, count: int, slot: int, walk: RemapWalk) -> int:
        """Remap or restore ``count`` entries of one table, from PA ``slot`` on; 0 or -EAGAIN.

        Kernel: vmemmap_pte_entry().
        """
        raws = self._bulk.read_entries(self.machine.virt(slot), count)
        frames = self._target.page_frames(raws)
        if walk.reuse_pfn is None and (
            self.variant.walks_head or walk.action is Action.REMAP
        ):  # the first entry of all tells the page to reuse, and stays
            walk.reuse_pfn = int(frames[0])
            walk.nr_walked += 1
            if count == 1:
                return 0
            va, slot, raws, frames = va + self._page_size, slot + self._last.entry_bytes, raws[1:], frames[1:]
        act = self._remap_ptes if walk.action is Action.REMAP else self._restore_ptes
        done = act(va, slot, raws, frames, walk)
        walk.nr_walked += done
        return 0 if done == raws.size else -EAGAIN

    def _remap_ptes(
        self,
        va: int,
        slot: int,
        raws: npt.NDArray[np.uint64],
        frames: npt.NDArray[np.int64],
        walk: RemapWalk,
    ) -> int:
        """Map a run of pages to the page to reuse, read-only but for the head; how many of the run are done.

        Kernel: vmemmap_remap_pte().
        """
        assert walk.reuse_pfn is not None  # noqa: S101 - the first entry has set it
        put, shift = self._target.page_form.put_address, self._page_shift
        entries = np.empty(raws.size, dtype=np.uint64)
        entries.fill(put((walk.reuse_pfn if walk.tail_pfn is None else walk.tail_pfn) << shift) | self._kernel_ro)
        if va == walk.reuse_va:
            entries[0] = put(walk.reuse_pfn << shift) | self._kernel
            taken = walk.pages.pop()
            if taken != walk.reuse_pfn:
                raise KernelBug(f"the new head page {walk.reuse_pfn:#x} is not first on the list, {taken:#x} is")
            self.cpu.barrier("smp_wmb")
        done = self._update.replace(slot, va, raws, entries)
        if not done and va == walk.reuse_va:
            walk.pages.add(walk.reuse_pfn)
        walk.pages.add_run(frames[:done])
        return done

    def _restore_ptes(
        self,
        va: int,
        slot: int,
        raws: npt.NDArray[np.uint64],
        frames: npt.NDArray[np.int64],
        walk: RemapWalk,
    ) -> int:
        """Give each page of a run a page of its own again; how many of the run are done.

        Kernel: vmemmap_restore_pte(), reset_struct_pages().
        """
        if self.variant.copies_mapped:
            return self._restore_copies(va, slot, raws, frames, walk)
        if frames.tolist().count(walk.reuse_pfn) < frames.size:
            if self._update.can_fail:
                return self._restore_partly(va, slot, raws, frames, walk)
            wrong = int(np.flatnonzero(frames != walk.reuse_pfn)[0])
            raise KernelBug(
                f"a tail at VA {va + wrong * self._page_size:#x} is not mapped to the page to reuse",
                where=f"{self._target.describe(self._last.name, int(raws[wrong]))}, reuse PFN {walk.reuse_pfn:#x}",
                rule="BUG_ON() in vmemmap_restore_pte()",
            )
        return self._restore_run(va, slot, raws, walk)

    def _restore_partly(
        self,
        va: int,
        slot: int,
        raws: npt.NDArray[np.uint64],
        frames: npt.NDArray[np.int64],
        walk: RemapWalk,
    ) -> int:
        """As :meth:`_restore_run`, for a folio of which some tails have pages of their own: those are left alone.

        Kernel: vmemmap_restore_pte() in the series of 2026.
        """
        shared = frames == walk.reuse_pfn
        for start, stop in _runs(shared, raws.size):
            if shared[start]:
                begin = slot + start * self._last.entry_bytes
                done = self._restore_run(va + start * self._page_size, begin, raws[start:stop], walk)
                if done < stop - start:
                    return start + done
        return raws.size

    def _restore_copies(
        self,
        va: int,
        slot: int,
        raws: npt.NDArray[np.uint64],
        frames: npt.NDArray[np.int64],
        walk: RemapWalk,
    ) -> int:
        """Give each page of a run a copy of the page that it is mapped to; a rollback leaves other pages alone.

        Kernel: vmemmap_restore_pte(), Debian's 6.12.117.
        """
        machine, cpu = self.machine, self.cpu
        for position, frame in enumerate(frames.tolist()):
            if walk.reuse_pfn is not None and frame != walk.reuse_pfn:
                continue
            pfn = walk.pages.pop()
            cpu.copy_page(machine.page_to_virt(pfn), machine.page_to_virt(frame))
            cpu.barrier("smp_wmb")
            entry = self._target.page_entries(np.array([pfn], dtype=np.int64), PgprotRole.KERNEL)
            at = slot + position * self._last.entry_bytes
            here = va + position * self._page_size
            if not self._update.replace(at, here, raws[position : position + 1], entry):
                walk.pages.add(pfn)
                return position
        return int(raws.size)

    def _restore_run(self, va: int, slot: int, raws: npt.NDArray[np.uint64], walk: RemapWalk) -> int:
        """Give each page of a run a page of its own, all at once where nobody watches and none can be lost."""
        machine, cpu, update = self.machine, self.cpu, self._update
        pfns = walk.pages.pop_run(raws.size)
        entries = self._target.page_entries(pfns, PgprotRole.KERNEL)
        if not machine.trace.listeners and not self.stepwise:
            fresh = np.array([machine.page_to_virt(pfn) for pfn in pfns.tolist()], dtype=np.uint64)
            self._bulk.copy_pages(fresh, np.full_like(fresh, walk.reuse_va))
            self._bulk.copy_runs(fresh, fresh + np.uint64(self._reset_size), self._reset_size)
            cpu.barrier("smp_wmb")
            return update.replace(slot, va, raws, entries)
        for position, pfn in enumerate(pfns.tolist()):
            to = machine.page_to_virt(pfn)
            cpu.copy_page(to, walk.reuse_va)
            cpu.store(to, cpu.load(to + self._reset_size, self._reset_size))
            cpu.barrier("smp_wmb")
            if not update.replace(slot, va, raws[position : position + 1], entries[position : position + 1]):
                walk.pages.add_run(pfns[position:][::-1])
                return position
            slot += self._last.entry_bytes
            va += self._page_size
        return raws.size

    def _store(
        self,
        level: str,
        slot: int,
        va: int,
        before: npt.NDArray[np.uint64],
        after: npt.NDArray[np.uint64],
        *,
        live: bool,
    ) -> None:
        """Store a run of entries at PA ``slot``. Kernel: set_pte_at(), pmd_populate_kernel()."""
        self._bulk.write_entries(self.machine.virt(slot), after)
        if self.machine.trace.listeners:
            self.machine.trace.emit(EntriesStored(self.cpu.index, level, slot, va, before, after, live))


def _runs(flags: npt.NDArray[np.bool_], limit: int) -> list[tuple[int, int]]:
    """Maximal runs of equal flags as pairs of first and one past the last, none longer than ``limit``."""
    if not flags.size:
        return []
    breaks = (np.flatnonzero(np.diff(flags)) + 1).tolist()
    runs: list[tuple[int, int]] = []
    for start, stop in zip([0, *breaks], [*breaks, flags.size], strict=True):
        runs.extend((first, min(first + limit, stop)) for first in range(start, stop, limit))
    return runs
