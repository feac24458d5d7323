# SPDX-License-Identifier: GPL-2.0-only
"""The machine: memory, tables, struct pages, CPUs, and the kernel functions that HVO calls outside its own file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hvolab.arch import Target
from hvolab.errors import AbsentMemoryError, MachineError, UsageError
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.cpus.guest import GuestArea
from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.machine.frames.failure import FailurePolicy, NeverFail
from hvolab.machine.frames.source import FrameSource, Owner
from hvolab.machine.intervals import Pfns
from hvolab.machine.locks import Locks
from hvolab.machine.memory.freeze import Contents, freeze, thaw
from hvolab.machine.memory.physical import PhysicalMemory
from hvolab.machine.memory.tables import PageTables
from hvolab.machine.struct_pages.freeing import BadStructPages, FreeChecker
from hvolab.machine.struct_pages.pages import StructPages
from hvolab.machine.struct_pages.records import PageRecords
from hvolab.release.gfp import Gfp
from hvolab.trace import (
    AllFlushed,
    BadPages,
    CounterChanged,
    EntryLost,
    GracePeriod,
    KeyChanged,
    PagesAllocated,
    PagesFreed,
    PageSplit,
    RangeFlushed,
    Trace,
)

_ZERO = int(Gfp.ZERO)


@dataclass
class Counters:
    """Counters of vmemmap pages in /proc/vmstat."""

    nr_memmap_pages: int = 0
    nr_memmap_boot_pages: int = 0

    @property
    def total(self) -> int:
        """Return the number of frames that back the vmemmap."""
        return self.nr_memmap_pages + self.nr_memmap_boot_pages


@dataclass
class Machine:
    """One machine. The functions that HVO calls outside its own file are methods, under the kernel's names.

    target          architecture, paging mode and release
    memory, tables  its bytes, and the kernel's page tables in them
    struct_pages    its struct pages
    records         flags of single frames, and the code that maintains them
    frames          the page allocator
    trace           events for listeners
    cpus            its CPUs, all over the same memory
    nodes           NUMA nodes
    vmemmap         PFN ranges that have struct pages, as pairs of first and one past the last
    counters        counters of vmemmap pages
    key             the static key: number of optimized folios
    vmemmap_tails   pages that optimized tails share, by node, zone and order, for releases that have them
    grace_periods   number of grace periods waited for
    optimize_enabled  the sysctl vm.hugetlb_optimize_vmemmap
    entry_updates   policy for replacements of an entry that another CPU wins, where the architecture allows that
    table_updates   the same for replacing a leaf by a table
    check_pages     whether the kernel checks struct pages that are freed, and keeps blocks with a bad one
    lost_frames     number of frames that it has kept so
    freed_blocks    order of each block of several frames that was freed, by its first PFN
    poisoned        PFNs of frames with an uncorrected memory error, whatever the kernel has recorded of it
    release_freed   whether the bytes of freed frames are returned to the host (large machines)
    self_hosted     PFN ranges of vmemmap stored in the memory that it describes
    scratch_pfns    frames reserved at build time for emulated CPUs
    guest           their mapped parts; ``None`` where no CPU can be emulated
    locks           locks that HVO and its callers take
    """

    target: Target
    memory: PhysicalMemory
    tables: PageTables
    struct_pages: StructPages
    records: PageRecords
    frames: FrameSource
    trace: Trace = field(default_factory=Trace)
    cpus: list[Cpu] = field(default_factory=list)
    nodes: int = 1
    vmemmap: tuple[tuple[int, int], ...] = ()
    counters: Counters = field(default_factory=Counters)
    key: int = 0
    vmemmap_tails: dict[tuple[int, int, int], int] = field(default_factory=dict)
    grace_periods: int = 0
    optimize_enabled: bool = True
    entry_updates: FailurePolicy = field(default_factory=NeverFail)
    table_updates: FailurePolicy = field(default_factory=NeverFail)
    check_pages: bool = True
    lost_frames: int = 0
    freed_blocks: dict[int, int] = field(default_factory=dict)
    poisoned: set[int] = field(default_factory=set)
    release_freed: bool = False
    self_hosted: tuple[tuple[int, int], ...] = ()
    scratch_pfns: tuple[int, int] = (0, 0)
    guest: GuestArea | None = None
    locks: Locks = field(default_factory=Locks)
    _data: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self._linear = self.tables.virt(0)
        self._page_shift = self.target.mode.page_shift
        self._free_bootmem = "put_page_bootmem" if self.target.traits.bootmem_info else "free_reserved_page"
        self.free_checker = FreeChecker(self.struct_pages, enabled=self.check_pages)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what `pickle` and `copy.deepcopy` make a copy of: an equal machine over memory of its own.

        The copy's trace has no listeners. Emulated CPUs raise UsageError, as their translations cannot be read.
        """
        return _thawed, (type(self), *freeze(vars(self)))

    def __copy__(self) -> Machine:
        """Raise UsageError: two machines over the same memory are no two machines."""
        raise UsageError("a machine has no shallow copy", hint="use copy.deepcopy()")

    # addresses

    def virt(self, pa: int) -> int:
        """Return the VA of ``pa`` in the direct map. Kernel: __va()."""
        return pa + self._linear

    def page_to_virt(self, pfn: int) -> int:
        """Return the VA of a frame in the direct map. Kernel: include/linux/mm.h, v6.12."""
        return (pfn << self._page_shift) + self._linear

    def kernel_data(self, size: int) -> int:
        """Return the VA of ``size`` zeroed bytes for list heads; raises MachineError when none are left."""
        va, left = self._data
        if size > left:
            raise MachineError(f"no room for {size} more bytes of kernel data", hint="build fewer hstates or nodes")
        self._data = (va + size, left - size)
        return va

    # the page allocator

    def alloc_pages(self, gfp: int, order: int, node: int | None = None) -> int | None:
        """Allocate a block; return its head PFN, or ``None``.

        Kernel: alloc_pages() without ``node``, alloc_pages_node() with it, in include/linux/gfp.h, v6.12.
        """
        return self._allocated(gfp, order, node, self.frames.allocate(order, gfp, 0 if node is None else node))

    def alloc_contig(self, gfp: int, order: int, node: int) -> int | None:
        """Allocate an aligned block of any order; return its head PFN, or ``None``. Kernel: alloc_contig_pages()."""
        pfn = self.frames.allocate_contiguous(1 << order, gfp, node, 1 << order)
        return self._allocated(gfp, order, node, pfn)

    def _allocated(self, gfp: int, order: int, node: int | None, pfn: int | None) -> int | None:
        if pfn is not None:
            self.records.allocated(pfn, 1 << order)
            if gfp & _ZERO:
                self.memory.zero(pfn, 1 << order)
        if self.trace.hears_calls:
            pfns = np.array([] if pfn is None else [pfn], dtype=np.int64)
            self.trace.emit(PagesAllocated(gfp, order, node, pfns, pfn is None))
        return pfn

    def alloc_pages_run(self, count: int, gfp: int, node: int) -> Pfns:
        """Allocate ``count`` single frames, up to the first call that fails; return their PFNs."""
        pfns = self.frames.allocate_run(count, gfp, node)
        self.records.allocated_run(pfns)
        if self.trace.hears_calls:
            self.trace.emit(PagesAllocated(gfp, 0, node, pfns, pfns.size < count))
        return pfns

    def free_pages(self, pfn: int, order: int, cpu: Cpu | None = None, *, linked: bool = False) -> None:
        """Free a block, whose struct pages ``cpu`` (default: the first) clears. Kernel: __free_pages().

        linked  overwrite page->lru of a single frame, see ``FreeChecker.overwrite_links()``
        """
        if not order:
            if not self._free_single(pfn, linked=linked):
                return
        elif not self._prepare_block(pfn, order, cpu):
            return
        else:
            self.frames.free(pfn, order)
            self._freed(np.arange(pfn, pfn + (1 << order), dtype=np.int64))
        if self.trace.hears_calls:
            self.trace.emit(PagesFreed(np.array([pfn], dtype=np.int64), order, "free_pages"))

    def free_page_run(self, pfns: Pfns) -> None:
        """Free single frames, in this order. Kernel: __free_page()."""
        pfns = self._prepare_run(pfns)
        self.frames.free_run(pfns)
        self._freed_run(pfns, "free_pages")

    def take_free_frame(self, pfn: int) -> bool:
        """Allocate this frame; return False if it is not free, or the machine has no allocator."""
        frames = self.frames
        if not isinstance(frames, FrameAllocator) or frames.owner(np.array([pfn], dtype=np.int64))[0] != Owner.FREE:
            return False
        frames.adopt_one(pfn)
        self.records.allocated(pfn, 1)
        return True

    def free_bootmem_run(self, pfns: Pfns) -> None:
        """Free boot frames, in this order. Kernel: free_bootmem_page(), v6.12.

        Where the architecture registers boot pages in bootmem_info, an unregistered one stays reserved.
        """
        if self.target.traits.bootmem_info:
            pfns = pfns[self.records.boot_registered(pfns)]
        pfns = self._prepare_run(pfns, boot=True)
        self.frames.release_reserved(pfns)
        self._freed_run(pfns, self._free_bootmem)

    def free_bootmem_page(self, pfn: int, *, linked: bool = False) -> None:
        """Free one boot frame as :meth:`free_bootmem_run`, without arrays: single steps free thousands.

        linked  as for :meth:`free_pages`
        """
        registered = not self.target.traits.bootmem_info or self.records.boot_registered_one(pfn)
        freed = registered and self._free_single(pfn, boot=True, linked=linked)
        if self.trace.hears_calls:
            self.trace.emit(PagesFreed(np.array([pfn] * freed, dtype=np.int64), 0, self._free_bootmem))

    def _prepare_block(self, pfn: int, order: int, cpu: Cpu | None) -> bool:
        """Check and clear the struct pages of a block; return False if the block is lost.

        Kernel: free_pages_prepare(), free_tail_page_prepare() in mm/page_alloc.c, v6.12.
        """
        bad, lost = self._check_block(pfn, order)
        self.free_checker.prepare(self.cpus[0] if cpu is None else cpu, pfn, order, bad)
        if not lost:
            self.freed_blocks[pfn] = order
        return not lost

    def check_block(self, pfn: int, order: int) -> None:
        """Report what is wrong in the struct pages of a block, as if it were freed."""
        self._check_block(pfn, order)

    def _check_block(self, pfn: int, order: int) -> tuple[list[BadStructPages], int]:
        """Report what is wrong in the struct pages of a block; return it, and the number of frames lost."""
        bad = self.free_checker.find(pfn, order)
        lost = 1 << order if any(one.reported for one in bad) else 0
        self._report_bad(pfn, order, bad, lost)
        return bad, lost

    def _free_single(self, pfn: int, *, boot: bool = False, linked: bool) -> bool:
        """Free a single frame, whose struct page is located once; return False if it is lost.

        Memory of a core, of which parts are absent, is not checked.
        """
        checker, places = self.free_checker, None
        if self.memory.present is None:
            places = checker.locate_single(pfn)
            if not (checker.single_holds(places, boot=boot) or self._report_singles(_one(pfn), boot=boot).size):
                return False
        if boot:
            self.frames.release_reserved_one(pfn)
        else:
            self.frames.free(pfn, 0)
        if places is None:
            self._freed(_one(pfn))
            with suppress(AbsentMemoryError):
                places = checker.locate_single(pfn) if linked else None
        else:
            if self.release_freed:
                self.memory.release(_one(pfn))
            self.records.freed_at(places[0], places[1])
        if linked and places is not None:
            checker.overwrite_links(places)
        return True

    def _prepare_run(self, pfns: Pfns, *, boot: bool = False) -> Pfns:
        """Check the struct pages of single frames; return those that are not lost.

        As in :meth:`_free_single`, memory of a core is not checked.
        """
        if self.memory.present is not None:
            return pfns
        return self._report_singles(pfns, boot=boot)

    def _report_singles(self, pfns: Pfns, *, boot: bool) -> Pfns:
        """Report what is wrong in the struct pages of single frames; return those that are not lost."""
        for one in self.free_checker.find_single(pfns, boot=boot):
            lost = one.pfns.size * one.reported
            self._report_bad(int(one.pfns[0]), 0, [one], lost)
            if lost:
                pfns = pfns[~np.isin(pfns, one.pfns)]
        return pfns

    def _report_bad(self, pfn: int, order: int, bad: list[BadStructPages], lost: int) -> None:
        self.lost_frames += lost
        if self.trace.listeners:
            for reason, pfns, reported in bad:
                example = self.free_checker.describe(int(pfns[0]))
                self.trace.emit(BadPages(reason, pfn, order, pfns, reported, lost, example))

    def _freed_run(self, pfns: Pfns, how: str) -> None:
        self._freed(pfns)
        if self.trace.hears_calls:
            self.trace.emit(PagesFreed(pfns, 0, how))

    def _freed(self, pfns: Pfns) -> None:
        if self.release_freed:
            self.memory.release(pfns)
        self.records.freed(pfns)

    def split_page(self, pfn: int, order: int) -> None:
        """Split an allocated block into single frames. Kernel: mm/page_alloc.c, v6.12."""
        self.frames.split(pfn, order)
        if self.trace.hears_calls:
            self.trace.emit(PageSplit(pfn, order))

    # the rest of the kernel

    def synchronize_rcu(self) -> None:
        """Wait for a grace period."""
        self.locks.synchronize_rcu()
        self.grace_periods += 1
        if self.trace.hears_calls:
            self.trace.emit(GracePeriod())

    def change_key(self, delta: int) -> None:
        """Add to hugetlb_optimize_vmemmap_key. Kernel: static_branch_inc(), static_branch_dec()."""
        with self.locks.cpu_hotplug_lock.shared:
            self.key += delta
        if self.trace.hears_calls:
            self.trace.emit(KeyChanged(delta))

    def admit_update(self, cpu: Cpu, level: str, va: int) -> bool:
        """Return whether a CPU may replace the live entry of a level that maps ``va``, or loses to another CPU."""
        policy = self.entry_updates if level == self.target.mode.last.name else self.table_updates
        admitted = policy.admit(1, 0) == 1
        if not admitted and self.trace.listeners:
            self.trace.emit(EntryLost(cpu.index, level, va, given_up=True))
        return admitted

    def memmap_pages_add(self, delta: int) -> None:
        """Count vmemmap pages of the page allocator. Kernel: mm/vmstat.c, v6.12."""
        self.counters.nr_memmap_pages += delta
        if self.trace.hears_calls:
            self.trace.emit(CounterChanged("nr_memmap_pages", delta))

    def memmap_boot_pages_add(self, delta: int) -> None:
        """Count vmemmap pages reserved at boot. Kernel: mm/vmstat.c, v6.12."""
        self.counters.nr_memmap_boot_pages += delta
        if self.trace.hears_calls:
            self.trace.emit(CounterChanged("nr_memmap_boot_pages", delta))

    def flush_tlb_kernel_range(self, start: int, end: int) -> None:
        """Flush ``[start, end)`` on every CPU."""
        for cpu in self.cpus:
            cpu.flush_range(start, end)
        if self.trace.hears_calls:
            self.trace.emit(RangeFlushed(start, end))

    def flush_tlb_all(self) -> None:
        """Flush everything on every CPU."""
        for cpu in self.cpus:
            cpu.flush_all()
        if self.trace.hears_calls:
            self.trace.emit(AllFlushed())


def _one(pfn: int) -> Pfns:
    return np.array([pfn], dtype=np.int64)


def _thawed(kind: type[Machine], contents: Contents, data: bytes) -> Machine:
    machine = kind.__new__(kind)
    vars(machine).update(thaw(contents, data))
    return machine


#: Makes the CPU of that number for a machine.
CpuMaker = Callable[[Machine, int], Cpu]


def use_cpus(machine: Machine, make: CpuMaker) -> None:
    """Replace every CPU of ``machine`` by one that ``make`` makes, with the same number.

    Cached translations are lost. An engine keeps the CPU that it was made with: replace CPUs before making it.
    """
    machine.cpus[:] = [make(machine, cpu.index) for cpu in machine.cpus]
