"""What a machine answers where a kernel's own code calls out of HVO: each entry of the table of stand-ins, done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from hvolab.errors import HvolabError
from hvolab.machine import Machine
from hvolab.machine.frames.gfp import Gfp
from hvolab_kernel.code.stubs import Argument, Stub, StubAction
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_unicorn.emulator.library import Registers

_ZERO = int(Gfp.ZERO)
#: Kernel: the static key that counts optimized folios, v6.12.
_KEY = "hugetlb_optimize_vmemmap_key"


class NoStubError(HvolabError):
    """A function that was called, and for which nobody can answer."""


class Caller(Protocol):
    """What an answer needs of the CPU that asks.

    placed      the kernel in its memory
    arguments   registers of the first arguments
    findings    where to note what should not happen
    """

    placed: LoadedKernel
    arguments: tuple[int, ...]
    findings: list[str]

    def flush(self) -> None:
        """Forget every translation of the CPU."""
        ...


#: An answer, ready: it gives what the function returns, or None where it returns nothing.
BoundHandler = Callable[[], int | None]


class Handlers:
    """Handlers for one CPU through its machine, which tells its listeners as it does for the engine."""

    def __init__(self, machine: Machine, caller: Caller, registers: Registers) -> None:
        self._machine = machine
        self._reader = registers.reader
        self._caller = caller  # a weak one: the emulator holds what answers, and must not hold itself
        self._placed = caller.placed
        self._registers = caller.arguments
        pages = machine.struct_pages
        self._page, self._pfn = pages.va, pages.pfn
        self._linear = machine.virt(0)
        self._shift = machine.target.mode.page_shift
        kernel = self._placed.kernel
        key = kernel.symbols.find(_KEY)
        #: VA of what counts in the static key, in the kernel's own memory; None: it has no such key.
        self.key = None if key is None else key + kernel.types.offset("static_key", "enabled")
        #: What flushes were begun and not completed: first VA and the VA behind, or nothing for everything.
        self.begun: list[tuple[int, int] | None] = []

    def method(self, one: Stub) -> BoundHandler:
        """What carries out a stand-in for a function."""
        act: Callable[..., int | None] = HANDLERS[one.action].__get__(self)
        count = min(len(one.arguments), len(self._registers))
        values = self._values(self._registers[:count], one.arguments)
        return lambda: act(one, *values())

    def inline(self, one: Stub, registers: Sequence[int | None]) -> BoundHandler:
        """What carries out a stand-in for an instruction, with its arguments in these registers; None: it is 0."""
        act: Callable[..., int | None] = HANDLERS[one.action].__get__(self)
        held = [
            (register, kind) for register, kind in zip(registers, one.arguments, strict=True) if register is not None
        ]
        values = self._values([register for register, _ in held], [kind for _, kind in held])

        def carried() -> int | None:
            read = iter(values())
            arguments = zip(registers, one.arguments, strict=True)
            return act(one, *[0 if register is None else kind.value(next(read)) for register, kind in arguments])

        return carried

    def _values(self, registers: Sequence[int], kinds: Sequence[Argument]) -> Callable[[], tuple[int, ...]]:
        return self._reader(registers, "".join(kind.layout for kind in kinds[: len(registers)]))

    # allocating

    def allocate(self, _: Stub, gfp: int, order: int, node: int | None = None) -> int:
        """A block: its struct page, or null."""
        pfn = self._machine.alloc_pages(gfp, order, node)
        return 0 if pfn is None else self._page(pfn)

    def allocate_address(self, _: Stub, gfp: int, order: int) -> int:
        """A block: its VA, or 0."""
        pfn = self._machine.alloc_pages(gfp, order)
        return 0 if pfn is None else self._machine.page_to_virt(pfn)

    def allocate_zeroed(self, one: Stub, gfp: int) -> int:
        """A zeroed frame: its VA, or 0."""
        return self.allocate_address(one, gfp | _ZERO, 0)

    # freeing

    def free(self, _: Stub, page: int, order: int) -> None:
        """Take a block back."""
        self._machine.free_pages(self._pfn(page), order)

    def free_address(self, _: Stub, va: int, order: int) -> None:
        """Take a block back, by its VA."""
        self._machine.free_pages((va - self._linear) >> self._shift, order)

    def free_table(self, _: Stub, page: int) -> None:
        """Take the frame of a page table back."""
        self._machine.free_pages(self._pfn(page), 0)

    def free_boot(self, _: Stub, page: int) -> None:
        """Take a frame of boot's back."""
        self._machine.free_bootmem_run(np.array([self._pfn(page)], dtype=np.int64))

    def split(self, _: Stub, page: int, order: int) -> None:
        """Make single frames of a block."""
        self._machine.split_page(self._pfn(page), order)

    # the rest

    def grace_period(self, _: Stub) -> None:
        """Wait for a grace period."""
        self._machine.synchronize_rcu()

    def key_up(self, _: Stub, key: int) -> int:
        """Raise the static key."""
        del key
        self._machine.change_key(1)
        return 1

    def key_down(self, _: Stub, key: int) -> None:
        """Lower the static key."""
        del key
        self._machine.change_key(-1)

    def flush_range(self, _: Stub, start: int, end: int) -> None:
        """Flush a range of VAs on every CPU, this one included."""
        self._machine.flush_tlb_kernel_range(start, end)
        self._caller.flush()

    def flush_all(self, _: Stub) -> None:
        """Flush everything on every CPU, this one included."""
        self._machine.flush_tlb_all()
        self._caller.flush()

    def flush_page_begun(self, _: Stub, va: int) -> None:
        """Note a page that this CPU forgets by itself; with the one noted last it is a range where it is the next."""
        last = self.begun[-1] if self.begun else None
        if last is not None and last[1] == va:
            self.begun[-1] = (last[0], va + (1 << self._shift))
        else:
            self.begun.append((va, va + (1 << self._shift)))

    def flush_all_begun(self, _: Stub) -> None:
        """Note that this CPU forgets everything by itself."""
        self.begun.append(None)

    def flushes_done(self, _: Stub) -> None:
        """Let every other CPU forget what this one was told to forget."""
        begun, self.begun = self.begun, []
        for pages in begun:
            if pages is None:
                self._machine.flush_tlb_all()
            else:
                self._machine.flush_tlb_kernel_range(*pages)

    def key_stored(self, _: Stub, address: int, value: int) -> None:
        """Change the static key by what is about to be stored there."""
        if address == self.key:
            old = self._placed.read(address, 4)
            self._machine.change_key(value - (old - (old >> 31 << 32)))

    def count_memmap(self, _: Stub, delta: int) -> None:
        """Add to nr_memmap_pages."""
        self._machine.memmap_pages_add(delta)

    def count_boot_memmap(self, _: Stub, delta: int) -> None:
        """Add to nr_memmap_boot_pages."""
        self._machine.memmap_boot_pages_add(delta)

    def nothing(self, _: Stub, *arguments: int) -> int:
        """Do nothing."""
        del arguments
        return 0

    def report(self, one: Stub, pointer: int = 0) -> int:
        """Note that it was called, and with which text."""
        placed = self._placed
        text = placed.read_text(pointer) if pointer and placed.holds(pointer) else ""
        self._caller.findings.append(f"{one.function}() was called" + (f": {text.strip()}" if text else ""))
        return 0

    def stop(self, one: Stub) -> int:
        """Raise NoStubError."""
        raise NoStubError(f"{one.function}() was called")


#: What carries out each answer.
HANDLERS: dict[StubAction, Callable[..., int | None]] = {
    StubAction.ALLOCATE: Handlers.allocate,
    StubAction.ALLOCATE_ADDRESS: Handlers.allocate_address,
    StubAction.ALLOCATE_ZEROED: Handlers.allocate_zeroed,
    StubAction.FREE: Handlers.free,
    StubAction.FREE_ADDRESS: Handlers.free_address,
    StubAction.FREE_TABLE: Handlers.free_table,
    StubAction.FREE_BOOT: Handlers.free_boot,
    StubAction.SPLIT: Handlers.split,
    StubAction.COUNT_MANAGED: Handlers.nothing,
    StubAction.GRACE_PERIOD: Handlers.grace_period,
    StubAction.KEY_UP: Handlers.key_up,
    StubAction.KEY_DOWN: Handlers.key_down,
    StubAction.FLUSH_RANGE: Handlers.flush_range,
    StubAction.FLUSH_ALL: Handlers.flush_all,
    StubAction.FLUSH_PAGE_BEGUN: Handlers.flush_page_begun,
    StubAction.FLUSH_ALL_BEGUN: Handlers.flush_all_begun,
    StubAction.FLUSHES_DONE: Handlers.flushes_done,
    StubAction.KEY_STORED: Handlers.key_stored,
    StubAction.COUNT_MEMMAP: Handlers.count_memmap,
    StubAction.COUNT_BOOT_MEMMAP: Handlers.count_boot_memmap,
    StubAction.COUNT_OTHER: Handlers.nothing,
    StubAction.NOTHING: Handlers.nothing,
    StubAction.REPORT: Handlers.report,
    StubAction.STOP: Handlers.stop,
}
