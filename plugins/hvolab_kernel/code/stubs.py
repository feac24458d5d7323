# SPDX-License-Identifier: GPL-2.0-only
"""Stubs: kernel functions outside HVO that the machine performs when a kernel's own code runs on it.

One table has each function with its arguments and its action. A kernel has the stubs that its symbols name, whatever
its version. Where the image has BTF, the prototype that it declares is checked against the table.

Other stubs are single instructions in HVO's own code, which other kernels have in a function outside HVO. They are
found there by their bits. The CPU executes each unchanged, and the machine performs its effect beyond that CPU.
Kernel: flush_tlb_kernel_range(), flush_tlb_all() and __tlbi_sync_s1ish() in arch/arm64/include/asm/tlbflush.h;
static_key_slow_inc() in include/linux/jump_label.h where JUMP_LABEL is off, arch/arm64/include/asm/atomic_ll_sc.h,
v6.12.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import HvolabError
from hvolab.plugin import registry
from hvolab_kernel.code.calls import callees
from hvolab_kernel.code.hvo_functions import hvo_functions
from hvolab_kernel.code.instructions import function_end
from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.kernel import Kernel


class StubAction(enum.Enum):
    """Action of a stub, in words for readers."""

    ALLOCATE = "allocates a block: its struct page, or null"
    ALLOCATE_ADDRESS = "allocates a block: its VA, or 0"
    ALLOCATE_ZEROED = "allocates a zeroed frame: its VA, or 0"
    ALLOCATE_FROZEN = "allocates a block without references: its struct page, or null"
    ALLOCATE_CONTIGUOUS = "allocates a contiguous range: its first struct page, or null"
    ALLOCATE_CONTIGUOUS_FROZEN = "allocates a contiguous range without references: its first struct page, or null"
    ALLOCATE_OBJECT = "allocates memory for an object until the call ends: its VA"
    ALLOCATE_SIZED = "allocates so many bytes until the call ends: their VA"
    ALLOCATE_BULK = "allocates frames into an array or a list: their number"
    FREE = "frees a block"
    FREE_CONTIGUOUS = "frees a contiguous range, whose frames have one reference each"
    FREE_ADDRESS = "frees a block, by its VA"
    FREE_TABLE = "frees the frame of a page table"
    FREE_BOOT = "frees a frame of boot memory"
    FREE_FOLIO = "frees a compound page"
    SPLIT = "splits a block into single frames"
    COUNT_MANAGED = "is recorded only: the machine does not count these"
    GRACE_PERIOD = "waits for a grace period"
    KEY_UP = "increments the static key"
    KEY_DOWN = "decrements the static key"
    FLUSH_RANGE = "flushes a range of VAs on every CPU"
    FLUSH_ALL = "flushes everything on every CPU"
    FLUSH_PAGE_BEGUN = "flushes a page on every CPU, which a barrier completes"
    FLUSH_ALL_BEGUN = "flushes everything on every CPU, which a barrier completes"
    FLUSHES_DONE = "completes the flushes before it"
    KEY_STORED = "changes the static key, if it stores there"
    COUNT_MEMMAP = "adds to nr_memmap_pages"
    COUNT_BOOT_MEMMAP = "adds to nr_memmap_boot_pages"
    COUNT_OTHER = "is recorded only: the machine does not count this"
    QUEUE_WORK = "records a work item, which runs after the call"
    PAGE_OF_FRAME = "returns the struct page of a frame"
    TAKE_OFF = "removes a frame from the free lists: whether it was free"
    HANDLED = "reports how a memory error was handled: 0 or -EBUSY"
    TAKE_LOCK = "waits for a spin lock and takes it; stops the call if no other CPU runs"
    NOTHING = "does nothing"
    PLUGIN = "is performed by a plugin"
    REPORT = "is reported as a finding"
    STOP = "stops the call: the machine cannot perform it"


@dataclass(frozen=True)
class Argument:
    """An argument: name, size in bytes, and whether it is signed. A register's higher bytes are undefined.

    optional  whether some kernels declare the function without it
    page  whether it is the operand of a TLBI that names a page: bits 43:0 are VA[55:12] for every base page size.
          Source: Arm ARM C5.5.
    """

    name: str
    size: int = 8
    signed: bool = False
    page: bool = False
    optional: bool = False

    @property
    def layout(self) -> str:
        """Layout of the eight bytes of a register that holds it, in the notation of `struct`."""
        letter = {4: "I", 8: "Q"}[self.size]
        return (letter.lower() if self.signed else letter) + "x" * (WORD_BYTES - self.size)

    def value(self, register: int) -> int:
        """Return the argument's value for the value read from a register; of a page its VA, sign-extended."""
        va = (register & (1 << 44) - 1) << 12
        return (va | 0xFF << 56 if va >> 55 else va) if self.page else register


@dataclass(frozen=True)
class Stub:
    """A function that the machine performs.

    function   its name
    action     its action
    arguments  the arguments that the action needs
    handler    that of a plugin: called with the machine and the arguments; returns the result, or None
    """

    function: str
    action: StubAction
    arguments: tuple[Argument, ...] = ()
    handler: Callable[..., int | None] | None = None


@dataclass(frozen=True)
class PlacedStub:
    """A stub in one kernel, at the VA of the function or instruction.

    prototype  of a function; empty where BTF does not have it
    registers  of an instruction: the register of each argument; None: the argument is 0
    """

    stub: Stub
    va: int
    prototype: str = ""
    registers: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class InlineInstruction:
    """An instruction of four bytes of which the machine is notified.

    stub        its name, action and arguments
    mask, word  its bits: four bytes are this instruction where they equal ``word`` under ``mask``
    fields      for each argument, the lowest bit of the field that names its register
    """

    stub: Stub
    mask: int
    word: int
    fields: tuple[int, ...] = ()


_GFP, _ORDER, _NODE = Argument("gfp", 4), Argument("order", 4), Argument("node", 4, signed=True)
_PAGE, _DELTA = Argument("page"), Argument("delta", signed=True)
_CPU = Argument("cpu", 4, signed=True)
_LAST = Argument("second", optional=True)
_BULK = (_GFP, _NODE, Argument("nodemask"), Argument("count", 4, signed=True), Argument("first"), _LAST)
_ITEM, _CHANGE = Argument("item", 4), Argument("change", 4, signed=True)

#: The arguments of a function that a plugin performs: unsigned registers.
_ANY: Final = tuple(Argument(f"argument {number}") for number in range(1, 7))
#: Action, arguments, and the functions: names differ between kernels, with `_noprof` since memory allocation profiling
#: (6.10) and `_frozen` since 6.14.
_TABLE: Final = (
    (StubAction.ALLOCATE, (_GFP, _ORDER), "alloc_pages alloc_pages_noprof"),
    (StubAction.ALLOCATE, (_GFP, _ORDER, _NODE), "__alloc_pages __alloc_pages_noprof"),
    (StubAction.ALLOCATE_FROZEN, (_GFP, _ORDER), "alloc_frozen_pages_noprof"),
    (StubAction.ALLOCATE_FROZEN, (_GFP, _ORDER, _NODE), "__alloc_frozen_pages_noprof"),
    (StubAction.ALLOCATE_ADDRESS, (_GFP, _ORDER), "__get_free_pages get_free_pages_noprof"),
    (StubAction.ALLOCATE_ZEROED, (_GFP,), "get_zeroed_page get_zeroed_page_noprof"),
    (StubAction.ALLOCATE_CONTIGUOUS, (Argument("count"), _GFP, _NODE), "alloc_contig_pages alloc_contig_pages_noprof"),
    (StubAction.ALLOCATE_CONTIGUOUS_FROZEN, (Argument("count"), _GFP, _NODE), "alloc_contig_frozen_pages_noprof"),
    (StubAction.ALLOCATE_OBJECT, (Argument("cache"), _GFP, Argument("size")), "__kmalloc_cache_noprof kmalloc_trace"),
    (StubAction.ALLOCATE_SIZED, (Argument("size"), _GFP), "__kmalloc_noprof __kmalloc __kmalloc_large_noprof"),
    (StubAction.ALLOCATE_BULK, _BULK, "alloc_pages_bulk_noprof"),
    (StubAction.FREE, (_PAGE, _ORDER), "__free_pages free_frozen_pages"),
    (StubAction.FREE_CONTIGUOUS, (Argument("pfn"), Argument("count")), "free_contig_range"),
    (StubAction.FREE_FOLIO, (Argument("folio"),), "__folio_put"),
    (StubAction.FREE_ADDRESS, (Argument("address"), _ORDER), "free_pages"),
    (StubAction.FREE_TABLE, (_PAGE,), "pagetable_free_kernel"),
    (StubAction.FREE_BOOT, (_PAGE,), "free_reserved_page put_page_bootmem"),
    (StubAction.COUNT_MANAGED, (_PAGE, Argument("count", signed=True)), "adjust_managed_page_count"),
    (StubAction.SPLIT, (_PAGE, _ORDER), "split_page"),
    (StubAction.GRACE_PERIOD, (), "synchronize_rcu"),
    (StubAction.KEY_UP, (Argument("key"),), "static_key_slow_inc"),
    (StubAction.KEY_DOWN, (Argument("key"),), "static_key_slow_dec"),
    (StubAction.FLUSH_RANGE, (Argument("start"), Argument("end")), "flush_tlb_kernel_range"),
    (StubAction.FLUSH_ALL, (), "flush_tlb_all"),
    (StubAction.COUNT_MEMMAP, (_DELTA,), "memmap_pages_add"),
    (StubAction.COUNT_BOOT_MEMMAP, (_DELTA,), "memmap_boot_pages_add"),
    (StubAction.COUNT_OTHER, (Argument("folio"), _ITEM, _CHANGE), "lruvec_stat_mod_folio"),
    (StubAction.COUNT_OTHER, (_PAGE, _ITEM, _CHANGE), "__mod_lruvec_page_state"),
    (StubAction.COUNT_OTHER, (Argument("pgdat"), _ITEM, _DELTA), "mod_node_page_state"),
    (StubAction.PAGE_OF_FRAME, (Argument("pfn"),), "pfn_to_online_page"),
    (StubAction.TAKE_OFF, (_PAGE,), "take_page_off_buddy"),
    (StubAction.HANDLED, (Argument("pfn"), Argument("type", 4), Argument("result", 4)), "action_result"),
    (StubAction.NOTHING, (Argument("zone"),), "drain_all_pages zone_pcp_disable zone_pcp_enable"),
    (StubAction.QUEUE_WORK, (_CPU, Argument("queue"), Argument("work")), "queue_work_on"),
    (
        StubAction.NOTHING,
        (Argument("pointer"),),
        "flush_work kfree kvfree __mem_cgroup_uncharge get_pfnblock_migratetype",
    ),
    (StubAction.NOTHING, (), "mcount _mcount"),  # of clang, for ftrace
    (StubAction.NOTHING, (), "__cond_resched __SCT__cond_resched __SCT__might_resched"),
    (StubAction.NOTHING, (Argument("timeout", signed=True),), "schedule_timeout"),
    (StubAction.NOTHING, (Argument("pa"), Argument("size")), "kmemleak_free_part_phys"),
    (StubAction.NOTHING, (Argument("pointer"),), "kmemleak_not_leak"),
    (StubAction.REPORT, (Argument("format"),), "_printk __warn_printk"),
    (StubAction.STOP, (), "__stack_chk_fail panic schedule"),
    (StubAction.STOP, (), "rwsem_down_read_slowpath"),
    (StubAction.TAKE_LOCK, (Argument("lock"),), "queued_spin_lock_slowpath native_queued_spin_lock_slowpath"),
)
STUBS: Final = tuple(Stub(name, action, arguments) for action, arguments, names in _TABLE for name in names.split())

_VA: Final = (Argument("va", page=True),)
_STORE: Final = (Argument("address"), Argument("value", 4, signed=True))

#: The instructions of an ELF machine, the first match first. Source: Arm ARM C5.5 (TLBI), C6.2 (DSB, STXR).
INLINE: Final = {
    "EM_AARCH64": (
        InlineInstruction(Stub("tlbi vmalle1is", StubAction.FLUSH_ALL_BEGUN), 0xFFFFFFFF, 0xD508831F),
        InlineInstruction(Stub("tlbi vaale1is", StubAction.FLUSH_PAGE_BEGUN, _VA), 0xFFFFFFE0, 0xD50883E0, (0,)),
        InlineInstruction(Stub("another tlbi", StubAction.STOP), 0xFFF8F000, 0xD5088000),
        InlineInstruction(Stub("dsb ish", StubAction.FLUSHES_DONE), 0xFFFFFFFF, 0xD5033B9F),
        InlineInstruction(Stub("stxr or stlxr", StubAction.KEY_STORED, _STORE), 0xFFE07C00, 0x88007C00, (5, 0)),
    ),
}
_BYTES: Final = 4
#: Mask of an instruction's field that names a register.
_FIELD: Final = 31


def stubs_of(kernel: Kernel) -> tuple[PlacedStub, ...]:
    """Return the stubs of a kernel: the table's, those of plugins, and of functions that a linked object misses.

    Raises TypeInfoError where the kernel declares a function with other arguments than the table, SymbolError where
    several functions have the name.
    """
    placed = []
    for one in STUBS:
        va = kernel.symbols.find(one.function)
        if va is not None:
            placed.append(PlacedStub(one, va, _checked(kernel, one)))
    known = {one.function for one in STUBS}
    for name, handler in registry().stubs().items():
        va = None if name in known else kernel.symbols.find(name)
        if va is not None:
            placed.append(PlacedStub(Stub(name, StubAction.PLUGIN, _ANY, handler), va))
            known.add(name)
    missing = [] if kernel.linked is None else [name for name in kernel.linked.missing if name not in known]
    placed += [PlacedStub(Stub(name, StubAction.STOP), kernel.symbols.address(name)) for name in missing]
    return tuple(placed)


def stub_names() -> frozenset[str]:
    """Return the names of all functions that have a stub, those of plugins included."""
    return frozenset({*registry().stubs(), *(one.function for one in STUBS)})


def outside_calls(kernel: Kernel) -> tuple[str, ...]:
    """Return the functions that HVO's code calls directly and that run unchanged: neither HVO's own nor stubs.

    Functions that cannot be disassembled are skipped.
    """
    own = set(hvo_functions(kernel))
    called: set[str] = set()
    for name in own:
        try:
            called |= callees(kernel, name)
        except HvolabError:
            continue
    stubs = stub_names()
    return tuple(sorted(name for name in called - own - stubs if "+" not in name))


def _checked(kernel: Kernel, one: Stub) -> str:
    """Return the function's prototype as text, after checking its arguments against the table."""
    prototype = None if kernel.btf is None else kernel.types.prototype(one.function)
    if prototype is None:
        return ""
    declared = [(parameter.size, parameter.signed) for parameter in prototype.parameters]
    count = len(declared)
    wanted = [each for index, each in enumerate(one.arguments) if index < count or not each.optional]
    if declared[: len(wanted)] != _shapes(wanted):
        raise TypeInfoError(
            f"the kernel declares {prototype}, which differs from hvolab's stub",
            where=f"{kernel.image.release}, {one.function}",
            rule=f"sizes and signs of its arguments: {_shapes(one.arguments)}",
            hint="this kernel's code cannot be run yet: add its prototype to the table of stubs",
        )
    return str(prototype)


def _shapes(arguments: Sequence[Argument]) -> list[tuple[int, bool]]:
    return [(one.size, one.signed) for one in arguments]


def inline_of(kernel: Kernel) -> tuple[PlacedStub, ...]:
    """Return those instructions in the code of a kernel's HVO, by address."""
    known = INLINE.get(kernel.image.machine)
    if known is None:
        return ()
    placed: dict[int, PlacedStub] = {}
    for name in hvo_functions(kernel):
        for va in kernel.symbols.all(name):
            size = function_end(kernel, va) - va & -_BYTES
            placed |= {one.va: one for one in _matches(known, va, kernel.image.read(va, size))}
    return tuple(placed[va] for va in sorted(placed))


def _matches(known: Sequence[InlineInstruction], va: int, code: bytes) -> Iterator[PlacedStub]:
    """Yield those in code that starts at ``va``."""
    words = np.frombuffer(code, "<u4")
    left = np.ones(len(words), dtype=np.bool_)
    for one in known:
        fits = left & (words & one.mask == one.word)
        left &= ~fits
        for index in np.flatnonzero(fits).tolist():
            registers = tuple(_register(int(words[index]) >> field & _FIELD) for field in one.fields)
            yield PlacedStub(one.stub, va + _BYTES * index, registers=registers)


def _register(number: int) -> str | None:
    """Return the emulator's name of a register. Number 31 is 0, or the stack pointer, where no static key is."""
    return None if number == _FIELD else f"X{number}"
