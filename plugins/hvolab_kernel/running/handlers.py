# SPDX-License-Identifier: GPL-2.0-only
"""Handlers that carry out stubs on a machine when a kernel's code calls out of HVO."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from hvolab.arithmetic import WORD_BYTES, round_up
from hvolab.errors import AbsentMemoryError, HvolabError
from hvolab.hugetlb.folio import FolioPages
from hvolab.hugetlb.memory_failure import take_page_off_buddy
from hvolab.machine import Cpu, Machine
from hvolab.release.gfp import Gfp
from hvolab_kernel.code.stubs import Argument, Stub, StubAction
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_unicorn.emulator.library import Registers

_ALL_ONES: Final = (1 << 64) - 1
_ZERO, _COMP = int(Gfp.ZERO), int(Gfp.COMP)
#: Bytes at the end of the loader's data region for objects that a call allocates, and their alignment.
_OBJECTS, _ALIGNMENT = 16 << 10, 64
#: Bytes before them for objects that are kept after a call.
_KEPT: Final = 4 << 10
_RECLAIM: Final = int(Gfp.DIRECT_RECLAIM)
#: Kernel: the least enum mf_result of errors that were handled, MF_DELAYED, in include/linux/mm.h, v6.12.
_DELAYED: Final = 2
#: End of a message about a memory error that was reported before. Kernel: try_memory_failure_hugetlb(), v6.1.
_EXPECTED: Final = "already hardware poisoned\n"
#: Kernel: the static key that counts optimized folios, v6.12.
_KEY: Final = "hugetlb_optimize_vmemmap_key"


class NoStubError(HvolabError):
    """A kernel's code calls a function outside of HVO that has no stub.

    Choose scenarios that do not reach the call, or add a stub for the function by a plugin's hook `hvolab_stubs`;
    `hvolab image FILE --stubs` lists those that exist.
    """


#: A handler with its arguments bound; returns the stub's result, or None if the stub returns nothing.
BoundHandler = Callable[[], int | None]


class Handlers:
    """Handlers of one CPU. They call the machine, which emits the same events as for the engine.

    cpu        reads and writes struct pages
    arguments  registers of a function's first arguments
    flush      flushes the TLB of the CPU
    findings   receives messages of the kernel

    key      VA of the counter in the static key, in the kernel's memory; None: the kernel has no such key
    pending  flushes without a barrier yet: first VA and end of a range, or None for a flush of everything
    queued     VAs of work items that the kernel has queued, oldest first
    object_bytes  bytes of objects that the current call has allocated
    atomic_fails  whether objects that are allocated without reclaim cannot be
    wait_for_lock  waits for the spin lock at a VA, and takes it; None: no other CPU can release it
    """

    def __init__(
        self,
        machine: Machine,
        cpu: Cpu,
        loaded: LoadedKernel,
        registers: Registers,
        arguments: Sequence[int],
        flush: Callable[[], object],
        findings: list[str],
    ) -> None:
        self._machine = machine
        self._reader = registers.reader
        self._loaded = loaded
        self._registers = arguments
        self._flush = flush
        self._findings = findings
        pages, memory = machine.struct_pages, machine.memory
        self._pages, self._page = pages, pages.va
        self._frames = range(memory.first_pfn, memory.first_pfn + memory.frames)
        self._linear, self._shift = machine.virt(0), machine.target.mode.page_shift
        key = loaded.kernel.symbols.find(_KEY)
        self.key = None if key is None else key + loaded.kernel.types.offset("static_key", "enabled")
        self.pending: list[tuple[int, int] | None] = []
        self.queued: list[int] = []
        self.object_bytes, self._kept_bytes, self.atomic_fails = 0, 0, False
        self.wait_for_lock: Callable[[int], None] | None = None
        self._folio = FolioPages(machine, cpu)
        self._cpu, self._lru = cpu, pages.layout.lru_next

    def for_function(self, stub: Stub) -> BoundHandler:
        """Bind the handler of a function to the registers of its arguments."""
        handler: Callable[..., int | None] = HANDLERS[stub.action].__get__(self)
        count = min(len(stub.arguments), len(self._registers))
        values = self._values(self._registers[:count], stub.arguments)
        return lambda: handler(stub, *values())

    def for_instruction(self, stub: Stub, registers: Sequence[int | None]) -> BoundHandler:
        """Bind the handler of an instruction to the registers that it names; None: an argument that is always 0."""
        handler: Callable[..., int | None] = HANDLERS[stub.action].__get__(self)
        pairs = list(zip(registers, stub.arguments, strict=True))
        named = [(register, argument) for register, argument in pairs if register is not None]
        values = self._values([register for register, _ in named], [argument for _, argument in named])

        def handle() -> int | None:
            read = iter(values())
            return handler(stub, *[0 if register is None else each.value(next(read)) for register, each in pairs])

        return handle

    def _values(self, registers: Sequence[int], arguments: Sequence[Argument]) -> Callable[[], tuple[int, ...]]:
        return self._reader(registers, "".join(argument.layout for argument in arguments[: len(registers)]))

    def _pfn(self, page: int) -> int:
        """Return the PFN of a struct page; raises AbsentMemoryError for an address outside of the vmemmap."""
        pfn = self._pages.pfn(page)
        if pfn not in self._frames:
            raise AbsentMemoryError(f"VA {page:#x} is that of no struct page", where=f"VA {page:#x}")
        return pfn

    # allocation and freeing

    def allocate(self, _: Stub, gfp: int, order: int, node: int | None = None) -> int:
        """Allocate a block; return its struct page, or null."""
        pfn = self._machine.alloc_pages(gfp, order, node)
        return self._allocated(pfn, gfp, order)

    def allocate_frozen(self, stub: Stub, gfp: int, order: int, node: int | None = None) -> int:
        """Allocate a block without references; return its struct page, or null."""
        return self._frozen(self.allocate(stub, gfp, order, node), gfp, order)

    def _frozen(self, page: int, gfp: int, order: int) -> int:
        """Drop the reference of a new compound page."""
        if page and gfp & _COMP and order:
            self._folio.set_refcount(page, 0)
        return page

    def allocate_contiguous(self, _: Stub, count: int, gfp: int, node: int) -> int:
        """Allocate an aligned range of a power of two of frames; return its first struct page, or null."""
        order = count.bit_length() - 1
        return self._allocated(self._machine.alloc_contig(gfp, order, node), gfp, order)

    def allocate_contiguous_frozen(self, stub: Stub, count: int, gfp: int, node: int) -> int:
        """Allocate such a range without references; return its first struct page, or null."""
        return self._frozen(self.allocate_contiguous(stub, count, gfp, node), gfp, count.bit_length() - 1)

    def _allocated(self, pfn: int | None, gfp: int, order: int) -> int:
        """Return the struct page of a new block, which is a compound page with one reference if the mask says so.

        Kernel: prep_new_page() in mm/page_alloc.c, v6.12.
        """
        if pfn is None:
            return 0
        page = self._page(pfn)
        if gfp & _COMP and order:
            self._folio.prep_compound(page, order)
            self._folio.set_refcount(page, 1)
        return page

    def allocate_object(self, _: Stub, _cache: int, gfp: int, size: int) -> int:
        """Allocate zeroed memory for an object; return its VA, or 0 if the region is full.

        One that is allocated without reclaim, as the record of a poisoned page, is kept after the call.
        """
        if not gfp & _RECLAIM:
            return self._allocate_kept(size)
        end = self._loaded.data.end
        va = end - _OBJECTS + self.object_bytes
        self.object_bytes += round_up(size, _ALIGNMENT)
        if self.object_bytes > _OBJECTS:
            return 0
        self._loaded.write(va, size, 0)
        return va

    def _allocate_kept(self, size: int) -> int:
        """Allocate zeroed memory that calls leave alone, until the region begins again; return its VA, or 0."""
        bytes_ = round_up(size, _ALIGNMENT)
        if self.atomic_fails or bytes_ > _KEPT:
            return 0
        start = self._kept_bytes if self._kept_bytes + bytes_ <= _KEPT else 0
        self._kept_bytes = start + bytes_
        va = self._loaded.data.end - _OBJECTS - _KEPT + start
        self._loaded.write(va, size, 0)
        return va

    def allocate_sized(self, stub: Stub, size: int, gfp: int) -> int:
        """Allocate zeroed memory of a size; return its VA, or 0 if the region is full."""
        return self.allocate_object(stub, 0, gfp, size)

    def allocate_bulk(self, stub: Stub, gfp: int, node: int, _: int, count: int, first: int, second: int) -> int:
        """Allocate frames until one cannot be, into the empty places of an array or into a list; return their number.

        Kernel: alloc_pages_bulk_noprof() in mm/page_alloc.c takes a list and an array in v6.12, an array in v7.2.
        """
        prototype = self._loaded.kernel.types.prototype(stub.function)
        both = prototype is not None and len(prototype.parameters) == len(stub.arguments)
        head, array = (first, second) if both else (0, first)
        done = 0
        for place in range(array, array + WORD_BYTES * count, WORD_BYTES) if array else range(count):
            if array and self._load(place):
                done += 1
                continue
            pfn = self._machine.alloc_pages(gfp, 0, node)
            if pfn is None:
                break
            done += 1
            page = self._page(pfn)
            if array:
                self._store(place, page)
            elif head:
                lru, after = page + self._lru, self._load(head)
                for va, value in ((after + WORD_BYTES, lru), (lru, after), (lru + WORD_BYTES, head), (head, lru)):
                    self._store(va, value)
        return done

    def _load(self, va: int) -> int:
        """Read a word of the kernel's memory or of the machine's."""
        loaded = self._loaded
        return loaded.read(va, WORD_BYTES) if loaded.holds(va, WORD_BYTES) else self._cpu.load_word(va)

    def _store(self, va: int, value: int) -> None:
        """Write a word of the kernel's memory or of the machine's."""
        if self._loaded.holds(va, WORD_BYTES):
            self._loaded.write(va, WORD_BYTES, value)
        else:
            self._cpu.store_word(va, value)

    def plugin(self, stub: Stub, *arguments: int) -> int | None:
        """Perform a function as a plugin does; returns its result."""
        return None if stub.handler is None else stub.handler(self._machine, *arguments)

    def allocate_address(self, _: Stub, gfp: int, order: int) -> int:
        """Allocate a block; return its VA, or 0."""
        pfn = self._machine.alloc_pages(gfp, order)
        return 0 if pfn is None else self._machine.page_to_virt(pfn)

    def allocate_zeroed(self, stub: Stub, gfp: int) -> int:
        """Allocate a zeroed frame; return its VA, or 0."""
        return self.allocate_address(stub, gfp | _ZERO, 0)

    def free(self, _: Stub, page: int, order: int) -> None:
        """Free a block."""
        self._free(self._pfn(page), order)

    def free_contiguous(self, _: Stub, pfn: int, count: int) -> None:
        """Drop the references of a range, and free it."""
        self._free(pfn, count.bit_length() - 1)

    def free_address(self, _: Stub, va: int, order: int) -> None:
        """Free a block by its VA."""
        self._free((va - self._linear) >> self._shift, order)

    def free_table(self, _: Stub, page: int) -> None:
        """Free the frame of a page table."""
        self._free(self._pfn(page), 0)

    def free_boot(self, _: Stub, page: int) -> None:
        """Free a frame that was reserved at boot."""
        self._machine.free_bootmem_page(self._pfn(page), linked=True)

    def free_folio(self, _: Stub, folio: int) -> None:
        """Free a compound page."""
        pfn = self._pfn(folio)
        self._free(pfn, self._pages.order(pfn))

    def _free(self, pfn: int, order: int) -> None:
        self._machine.free_pages(pfn, order, linked=True)

    def split(self, _: Stub, page: int, order: int) -> None:
        """Split a block into single frames."""
        self._machine.split_page(self._pfn(page), order)

    # RCU, static key, TLB flushes, counters

    def grace_period(self, _: Stub) -> None:
        """Wait for a grace period."""
        self._machine.synchronize_rcu()

    def key_up(self, _: Stub, _key: int) -> int:
        """Increment the static key."""
        self._machine.change_key(1)
        return 1

    def key_down(self, _: Stub, _key: int) -> None:
        """Decrement the static key."""
        self._machine.change_key(-1)

    def key_stored(self, _: Stub, address: int, value: int) -> None:
        """Change the static key by a store that is about to execute."""
        if address == self.key:
            old = self._loaded.read(address, 4)
            self._machine.change_key(value - (old - (old >> 31 << 32)))

    def flush_range(self, _: Stub, start: int, end: int) -> None:
        """Flush a range of VAs on every CPU, this one included."""
        self._machine.flush_tlb_kernel_range(start, end)
        self._flush()

    def flush_all(self, _: Stub) -> None:
        """Flush everything on every CPU, this one included."""
        self._machine.flush_tlb_all()
        self._flush()

    def flush_page_begun(self, _: Stub, va: int) -> None:
        """Record the flush of a page, which this CPU executes itself; consecutive pages form one range."""
        last = self.pending[-1] if self.pending else None
        if last is not None and last[1] == va:
            self.pending[-1] = (last[0], va + (1 << self._shift))
        else:
            self.pending.append((va, va + (1 << self._shift)))

    def flush_all_begun(self, _: Stub) -> None:
        """Record the flush of everything, which this CPU executes itself."""
        self.pending.append(None)

    def flushes_done(self, _: Stub) -> None:
        """Complete the recorded flushes on every other CPU."""
        pending, self.pending = self.pending, []
        for pages in pending:
            if pages is None:
                self._machine.flush_tlb_all()
            else:
                self._machine.flush_tlb_kernel_range(*pages)

    def count_memmap(self, _: Stub, delta: int) -> None:
        """Add to nr_memmap_pages."""
        self._machine.memmap_pages_add(delta)

    def count_boot_memmap(self, _: Stub, delta: int) -> None:
        """Add to nr_memmap_boot_pages."""
        self._machine.memmap_boot_pages_add(delta)

    def queue_work(self, _: Stub, _cpu: int, _queue: int, work: int) -> int:
        """Record a work item; return 1, as for one that was not queued before."""
        self.queued.append(work)
        return 1

    def page_of_frame(self, _: Stub, pfn: int) -> int:
        """Return the struct page of a frame."""
        return self._page(pfn)

    def take_off(self, _: Stub, page: int) -> int:
        """Remove a frame from the free lists; return 1, or 0 if it is not free."""
        return int(take_page_off_buddy(self._machine, self._cpu, self._pfn(page)))

    def handled(self, _: Stub, _pfn: int, _type: int, result: int) -> int:
        """Return 0 for an error that was handled, else -EBUSY. Left out: counters of poisoned pages, the message."""
        return 0 if result >= _DELAYED else -errno.EBUSY & _ALL_ONES

    def take_lock(self, stub: Stub, lock: int) -> None:
        """Wait for a spin lock and take it; raises NoStubError if no other CPU runs."""
        if self.wait_for_lock is None:
            self.stop(stub)
        self.wait_for_lock(lock)

    def nothing(self, _: Stub, *_arguments: int) -> int:
        """Return 0."""
        return 0

    count_managed = count_other = nothing

    def report(self, stub: Stub, pointer: int = 0) -> int:
        """Add a finding with the text that the function was called with, unless that is an expected one."""
        loaded = self._loaded
        text = loaded.read_text(pointer) if pointer and loaded.holds(pointer) else ""
        if not text.endswith(_EXPECTED):
            self._findings.append(f"{stub.function}() was called" + (f": {text.strip()}" if text else ""))
        return 0

    def stop(self, stub: Stub) -> NoReturn:
        """Raise NoStubError."""
        raise NoStubError(f"{stub.function}() was called")


#: The handler of each action: the method of that name.
HANDLERS: Final[dict[StubAction, Callable[..., int | None]]] = {
    action: getattr(Handlers, action.name.lower()) for action in StubAction
}
#: Actions that return 0 and do nothing else.
NOTHING: Final = frozenset(action for action, handler in HANDLERS.items() if handler is Handlers.nothing)
