"""The machine: memory, tables, struct pages, CPUs and what the kernel outside HVO answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.errors import MachineError, UsageError
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.cpus.guest import GuestArea
from hvolab.machine.frames.failure import FailurePolicy, NeverFail
from hvolab.machine.frames.gfp import Gfp
from hvolab.machine.frames.source import FrameSource
from hvolab.machine.memory import PhysicalMemory
from hvolab.machine.struct_pages.pages import StructPages
from hvolab.machine.struct_pages.records import PageRecords
from hvolab.machine.tables import PageTables
from hvolab.trace import (
    AllFlushed,
    CounterChanged,
    GracePeriod,
    KeyChanged,
    PagesAllocated,
    PagesFreed,
    PageSplit,
    RangeFlushed,
    Trace,
)

Pfns = npt.NDArray[np.int64]
_ZERO = int(Gfp.ZERO)


@dataclass
class Counters:
    """The two counters of vmemmap pages in /proc/vmstat."""

    nr_memmap_pages: int = 0
    nr_memmap_boot_pages: int = 0

    @property
    def total(self) -> int:
        """Their conserved sum: frames that back the vmemmap."""
        return self.nr_memmap_pages + self.nr_memmap_boot_pages


@dataclass
class Machine:
    """One machine. What HVO calls outside its own file is a method here, under the kernel's name.

    target          what it is built for
    memory, tables  its bytes, and the kernel's page tables in them
    struct_pages    its struct pages
    records         what struct pages say of single frames
    frames          who hands out frames
    trace           those who listen
    cpus            its CPUs, all over the same memory
    nodes           NUMA nodes
    vmemmap         PFN ranges whose struct pages exist, as pairs of first and one past the last
    counters        vmemmap pages
    key             the static key: number of optimized folios
    vmemmap_tails   of kernels that have one: the page that optimized tails share, by node, zone and order
    grace_periods   how often one was waited for
    optimize_enabled  the sysctl vm.hugetlb_optimize_vmemmap
    entry_updates   which replacements of an entry are made to be lost to somebody else, where that can happen
    table_updates   the same for a leaf that becomes a table
    release_freed   whether freed frames give their bytes back to the host (scale runs)
    self_hosted     PFN ranges of vmemmap that lies in what it describes
    scratch_pfns    frames set aside at build time for what an emulated CPU needs
    guest           what is mapped of them; ``None`` where no CPU can be emulated
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
    release_freed: bool = False
    self_hosted: tuple[tuple[int, int], ...] = ()
    scratch_pfns: tuple[int, int] = (0, 0)
    guest: GuestArea | None = None
    _data: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self._linear = self.tables.virt(0)
        self._page_shift = self.target.mode.page_shift

    # addresses

    def virt(self, pa: int) -> int:
        """VA of ``pa`` in the direct map. Kernel: __va()."""
        return pa + self._linear

    def page_to_virt(self, pfn: int) -> int:
        """VA of a frame in the direct map.

        Kernel: page_to_virt() in include/linux/mm.h, v6.12.
        """
        return (pfn << self._page_shift) + self._linear

    def kernel_data(self, size: int) -> int:
        """VA of ``size`` zeroed bytes for the kernel's own data (list heads); raises MachineError when used up."""
        va, left = self._data
        if size > left:
            raise MachineError(f"no room for {size} more bytes of kernel data", hint="build fewer hstates or nodes")
        self._data = (va + size, left - size)
        return va

    # the page allocator

    def alloc_pages(self, gfp: int, order: int, node: int | None = None) -> int | None:
        """Head PFN of a block, or ``None``.

        Kernel: alloc_pages() without ``node``, alloc_pages_node() with it, in include/linux/gfp.h, v6.12.
        """
        pfn = self.frames.allocate(order, gfp, 0 if node is None else node)
        if pfn is not None:
            self.records.allocated(pfn, 1 << order)
            if gfp & _ZERO:
                self.memory.zero(pfn, 1 << order)
        if self.trace.listeners:
            pfns = np.array([] if pfn is None else [pfn], dtype=np.int64)
            self.trace.emit(PagesAllocated(gfp, order, node, pfns, pfn is None))
        return pfn

    def alloc_pages_run(self, count: int, gfp: int, node: int) -> Pfns:
        """PFNs of ``count`` single-frame calls, up to the first that fails."""
        pfns = self.frames.allocate_run(count, gfp, node)
        self.records.allocated_run(pfns)
        if self.trace.listeners:
            self.trace.emit(PagesAllocated(gfp, 0, node, pfns, pfns.size < count))
        return pfns

    def alloc_contig(self, gfp: int, order: int, node: int) -> int | None:
        """Head PFN of an aligned block of any order. Kernel: alloc_contig_pages()."""
        pfn = self.frames.allocate_contiguous(1 << order, gfp, node, 1 << order)
        if pfn is not None:
            self.records.allocated(pfn, 1 << order)
        if self.trace.listeners:
            pfns = np.array([] if pfn is None else [pfn], dtype=np.int64)
            self.trace.emit(PagesAllocated(gfp, order, node, pfns, pfn is None))
        return pfn

    def free_pages(self, pfn: int, order: int) -> None:
        """Give a block back. Kernel: __free_pages()."""
        self.frames.free(pfn, order)
        if order or self.release_freed:
            self._freed(np.arange(pfn, pfn + (1 << order), dtype=np.int64))
        else:
            self.records.freed_one(pfn)
        if self.trace.listeners:
            self.trace.emit(PagesFreed(np.array([pfn], dtype=np.int64), order, "free_pages"))

    def free_page_run(self, pfns: Pfns) -> None:
        """Give single frames back, in this order. Kernel: __free_page()."""
        self.frames.free_run(pfns)
        self._freed(pfns)
        if self.trace.listeners:
            self.trace.emit(PagesFreed(pfns, 0, "free_pages"))

    def free_bootmem_run(self, pfns: Pfns) -> None:
        """Give boot frames back, in this order. Kernel: free_bootmem_page(), v6.12.

        Where the architecture registers boot pages in bootmem_info, one that is not registered stays where it is.
        """
        how = "free_reserved_page"
        if self.target.traits.bootmem_info:
            how = "put_page_bootmem"
            pfns = pfns[self.records.boot_registered(pfns)]
        self.frames.release_reserved(pfns)
        self._freed(pfns)
        if self.trace.listeners:
            self.trace.emit(PagesFreed(pfns, 0, how))

    def _freed(self, pfns: Pfns) -> None:
        if self.release_freed:
            self.memory.release(pfns)
        self.records.freed(pfns)

    def split_page(self, pfn: int, order: int) -> None:
        """Make each frame of a block one of its own.

        Kernel: split_page() in mm/page_alloc.c, v6.12.
        """
        self.frames.split(pfn, order)
        if self.trace.listeners:
            self.trace.emit(PageSplit(pfn, order))

    # the rest of the kernel

    def synchronize_rcu(self) -> None:
        """Wait for a grace period."""
        self.grace_periods += 1
        if self.trace.listeners:
            self.trace.emit(GracePeriod())

    def change_key(self, delta: int) -> None:
        """Kernel: static_branch_inc(), static_branch_dec() of hugetlb_optimize_vmemmap_key."""
        self.key += delta
        if self.trace.listeners:
            self.trace.emit(KeyChanged(delta))

    def memmap_pages_add(self, delta: int) -> None:
        """Count vmemmap pages that came from or went to the page allocator.

        Kernel: memmap_pages_add() in mm/vmstat.c, v6.12.
        """
        self.counters.nr_memmap_pages += delta
        if self.trace.listeners:
            self.trace.emit(CounterChanged("nr_memmap_pages", delta))

    def memmap_boot_pages_add(self, delta: int) -> None:
        """Count vmemmap pages that were set aside at boot.

        Kernel: memmap_boot_pages_add() in mm/vmstat.c, v6.12.
        """
        self.counters.nr_memmap_boot_pages += delta
        if self.trace.listeners:
            self.trace.emit(CounterChanged("nr_memmap_boot_pages", delta))

    def flush_tlb_kernel_range(self, start: int, end: int) -> None:
        """Every CPU forgets ``[start, end)``."""
        for cpu in self.cpus:
            cpu.flush_range(start, end)
        if self.trace.listeners:
            self.trace.emit(RangeFlushed(start, end))

    def flush_tlb_all(self) -> None:
        """Every CPU forgets everything."""
        for cpu in self.cpus:
            cpu.flush_all()
        if self.trace.listeners:
            self.trace.emit(AllFlushed())

    def cpu(self, index: int) -> Cpu:
        """The CPU of that number; raises UsageError with how many there are."""
        if not 0 <= index < len(self.cpus):
            raise UsageError(f"no CPU {index}", hint=f"the machine has {len(self.cpus)}, from 0 on")
        return self.cpus[index]
