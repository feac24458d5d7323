"""What a machine answers where a kernel's own code calls out of HVO: each entry of the table of stand-ins, done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from hvolab.errors import HvolabError
from hvolab.machine import Machine
from hvolab.machine.gfp import Gfp
from hvolab_kernel.stand_ins import Answer, Argument, StandIn
from hvolab_unicorn.library import Registers

from .placing import PlacedKernel

_ZERO = int(Gfp.ZERO)
#: Kernel: the static key that counts optimised folios, v6.12.
_KEY = "hugetlb_optimize_vmemmap_key"


class CannotAnswer(HvolabError):  # noqa: N818 - it says what the machine does, as KernelBug does
    """A function that was called, and for which nobody can answer."""


class Caller(Protocol):
    """What an answer needs of the CPU that asks.

    placed      the kernel in its memory
    arguments   registers of the first arguments
    findings    where to note what should not happen
    """

    placed: PlacedKernel
    arguments: tuple[int, ...]
    findings: list[str]

    def flush(self) -> None:
        """Forget every translation of the CPU."""
        ...


#: An answer, ready: it gives what the function returns, or None where it returns nothing.
Carried = Callable[[], int | None]


class Answers:
    """Answers for one CPU through its machine, which tells its listeners as it does for the engine."""

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

    def method(self, one: StandIn) -> Carried:
        """What carries out a stand-in for a function."""
        act: Callable[..., int | None] = ACTS[one.answer].__get__(self)
        count = min(len(one.arguments), len(self._registers))
        values = self._values(self._registers[:count], one.arguments)
        return lambda: act(one, *values())

    def inline(self, one: StandIn, registers: Sequence[int | None]) -> Carried:
        """What carries out a stand-in for an instruction, with its arguments in these registers; None: it is 0."""
        act: Callable[..., int | None] = ACTS[one.answer].__get__(self)
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
        return self._reader(registers, "".join(kind.form for kind in kinds[: len(registers)]))

    # allocating

    def allocate(self, _: StandIn, gfp: int, order: int, node: int | None = None) -> int:
        """A block: its struct page, or null."""
        pfn = self._machine.alloc_pages(gfp, order, node)
        return 0 if pfn is None else self._page(pfn)

    def allocate_address(self, _: StandIn, gfp: int, order: int) -> int:
        """A block: its VA, or 0."""
        pfn = self._machine.alloc_pages(gfp, order)
        return 0 if pfn is None else self._machine.page_to_virt(pfn)

    def allocate_zeroed(self, one: StandIn, gfp: int) -> int:
        """A zeroed frame: its VA, or 0."""
        return self.allocate_address(one, gfp | _ZERO, 0)

    # freeing

    def free(self, _: StandIn, page: int, order: int) -> None:
        """Take a block back."""
        self._machine.free_pages(self._pfn(page), order)

    def free_address(self, _: StandIn, va: int, order: int) -> None:
        """Take a block back, by its VA."""
        self._machine.free_pages((va - self._linear) >> self._shift, order)

    def free_table(self, _: StandIn, page: int) -> None:
        """Take the frame of a page table back."""
        self._machine.free_pages(self._pfn(page), 0)

    def free_boot(self, _: StandIn, page: int) -> None:
        """Take a frame of boot's back."""
        self._machine.free_bootmem_run(np.array([self._pfn(page)], dtype=np.int64))

    def split(self, _: StandIn, page: int, order: int) -> None:
        """Make single frames of a block."""
        self._machine.split_page(self._pfn(page), order)

    # the rest

    def grace_period(self, _: StandIn) -> None:
        """Wait for a grace period."""
        self._machine.synchronize_rcu()

    def key_up(self, _: StandIn, key: int) -> int:
        """Raise the static key."""
        del key
        self._machine.change_key(1)
        return 1

    def key_down(self, _: StandIn, key: int) -> None:
        """Lower the static key."""
        del key
        self._machine.change_key(-1)

    def flush_range(self, _: StandIn, start: int, end: int) -> None:
        """Flush a range of VAs on every CPU, this one included."""
        self._machine.flush_tlb_kernel_range(start, end)
        self._caller.flush()

    def flush_all(self, _: StandIn) -> None:
        """Flush everything on every CPU, this one included."""
        self._machine.flush_tlb_all()
        self._caller.flush()

    def flush_page_begun(self, _: StandIn, va: int) -> None:
        """Note a page that this CPU forgets by itself; with the one noted last it is a range where it is the next."""
        last = self.begun[-1] if self.begun else None
        if last is not None and last[1] == va:
            self.begun[-1] = (last[0], va + (1 << self._shift))
        else:
            self.begun.append((va, va + (1 << self._shift)))

    def flush_all_begun(self, _: StandIn) -> None:
        """Note that this CPU forgets everything by itself."""
        self.begun.append(None)

    def flushes_done(self, _: StandIn) -> None:
        """Let every other CPU forget what this one was told to forget."""
        begun, self.begun = self.begun, []
        for pages in begun:
            if pages is None:
                self._machine.flush_tlb_all()
            else:
                self._machine.flush_tlb_kernel_range(*pages)

    def key_stored(self, _: StandIn, address: int, value: int) -> None:
        """Change the static key by what is about to be stored there."""
        if address == self.key:
            old = self._placed.read(address, 4)
            self._machine.change_key(value - (old - (old >> 31 << 32)))

    def count_memmap(self, _: StandIn, delta: int) -> None:
        """Add to nr_memmap_pages."""
        self._machine.memmap_pages_add(delta)

    def count_boot_memmap(self, _: StandIn, delta: int) -> None:
        """Add to nr_memmap_boot_pages."""
        self._machine.memmap_boot_pages_add(delta)

    def nothing(self, _: StandIn, *arguments: int) -> int:
        """Do nothing."""
        del arguments
        return 0

    def report(self, one: StandIn, pointer: int = 0) -> int:
        """Note that it was called, and with which text."""
        placed = self._placed
        text = placed.read_text(pointer) if pointer and placed.holds(pointer) else ""
        self._caller.findings.append(f"{one.function}() was called" + (f": {text.strip()}" if text else ""))
        return 0

    def stop(self, one: StandIn) -> int:
        """Raise CannotAnswer."""
        raise CannotAnswer(f"{one.function}() was called")


#: What carries out each answer.
ACTS: dict[Answer, Callable[..., int | None]] = {
    Answer.ALLOCATE: Answers.allocate,
    Answer.ALLOCATE_ADDRESS: Answers.allocate_address,
    Answer.ALLOCATE_ZEROED: Answers.allocate_zeroed,
    Answer.FREE: Answers.free,
    Answer.FREE_ADDRESS: Answers.free_address,
    Answer.FREE_TABLE: Answers.free_table,
    Answer.FREE_BOOT: Answers.free_boot,
    Answer.SPLIT: Answers.split,
    Answer.COUNT_MANAGED: Answers.nothing,
    Answer.GRACE_PERIOD: Answers.grace_period,
    Answer.KEY_UP: Answers.key_up,
    Answer.KEY_DOWN: Answers.key_down,
    Answer.FLUSH_RANGE: Answers.flush_range,
    Answer.FLUSH_ALL: Answers.flush_all,
    Answer.FLUSH_PAGE_BEGUN: Answers.flush_page_begun,
    Answer.FLUSH_ALL_BEGUN: Answers.flush_all_begun,
    Answer.FLUSHES_DONE: Answers.flushes_done,
    Answer.KEY_STORED: Answers.key_stored,
    Answer.COUNT_MEMMAP: Answers.count_memmap,
    Answer.COUNT_BOOT_MEMMAP: Answers.count_boot_memmap,
    Answer.COUNT_OTHER: Answers.nothing,
    Answer.NOTHING: Answers.nothing,
    Answer.REPORT: Answers.report,
    Answer.STOP: Answers.stop,
}
