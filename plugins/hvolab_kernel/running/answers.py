"""What a machine answers where a kernel's own code calls out of HVO: each entry of the table of stand-ins, done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from hvolab.errors import HvolabError
from hvolab.machine import Machine
from hvolab.machine.gfp import Gfp
from hvolab_kernel.stand_ins import Answer, StandIn

from hvolab_unicorn.library import Registers

from .placing import PlacedKernel

_ZERO = int(Gfp.ZERO)


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
        self._read = registers.read
        self._caller_placed = caller.placed
        self._registers = caller.arguments
        self._flush = caller.flush
        self._note = lambda text: caller.findings.append(text)
        pages = machine.struct_pages
        self._page, self._pfn = pages.va, pages.pfn
        self._linear = machine.virt(0)
        self._shift = machine.target.mode.page_shift

    def method(self, one: StandIn) -> Carried:
        """What carries out a stand-in."""
        act = _ACTS[one.answer]
        read = self._read
        arguments = tuple(zip(self._registers, one.arguments, strict=False))

        def carried() -> int | None:
            return act(self, one, *[kind.value(read(register)) for register, kind in arguments])

        return carried

    # allocating

    def _allocate(self, _: StandIn, gfp: int, order: int, node: int | None = None) -> int:
        pfn = self._machine.alloc_pages(gfp, order, node)
        return 0 if pfn is None else self._page(pfn)

    def _allocate_address(self, _: StandIn, gfp: int, order: int) -> int:
        pfn = self._machine.alloc_pages(gfp, order)
        return 0 if pfn is None else self._machine.page_to_virt(pfn)

    def _allocate_zeroed(self, one: StandIn, gfp: int) -> int:
        return self._allocate_address(one, gfp | _ZERO, 0)

    # freeing

    def _free(self, _: StandIn, page: int, order: int) -> None:
        self._machine.free_pages(self._pfn(page), order)

    def _free_address(self, _: StandIn, va: int, order: int) -> None:
        self._machine.free_pages((va - self._linear) >> self._shift, order)

    def _free_table(self, _: StandIn, page: int) -> None:
        self._machine.free_pages(self._pfn(page), 0)

    def _free_boot(self, _: StandIn, page: int) -> None:
        self._machine.free_bootmem_run(np.array([self._pfn(page)], dtype=np.int64))

    def _split(self, _: StandIn, page: int, order: int) -> None:
        self._machine.split_page(self._pfn(page), order)

    # the rest

    def _grace_period(self, _: StandIn) -> None:
        self._machine.synchronize_rcu()

    def _key_up(self, _: StandIn, key: int) -> int:
        del key
        self._machine.change_key(1)
        return 1

    def _key_down(self, _: StandIn, key: int) -> None:
        del key
        self._machine.change_key(-1)

    def _flush_range(self, _: StandIn, start: int, end: int) -> None:
        self._machine.flush_tlb_kernel_range(start, end)
        self._flush()

    def _flush_all(self, _: StandIn) -> None:
        self._machine.flush_tlb_all()
        self._flush()

    def _count_memmap(self, _: StandIn, delta: int) -> None:
        self._machine.memmap_pages_add(delta)

    def _count_boot_memmap(self, _: StandIn, delta: int) -> None:
        self._machine.memmap_boot_pages_add(delta)

    def _nothing(self, _: StandIn, *arguments: int) -> int:
        del arguments
        return 0

    def _report(self, one: StandIn, pointer: int = 0) -> int:
        placed = self._caller_placed
        text = placed.read_text(pointer) if pointer and placed.holds(pointer) else ""
        self._note(f"{one.function}() was called" + (f": {text.strip()}" if text else ""))
        return 0

    def _stop(self, one: StandIn) -> int:
        raise CannotAnswer(f"{one.function}() was called")


_ACTS: dict[Answer, Callable[..., int | None]] = {
    Answer.ALLOCATE: Answers._allocate,
    Answer.ALLOCATE_ADDRESS: Answers._allocate_address,
    Answer.ALLOCATE_ZEROED: Answers._allocate_zeroed,
    Answer.FREE: Answers._free,
    Answer.FREE_ADDRESS: Answers._free_address,
    Answer.FREE_TABLE: Answers._free_table,
    Answer.FREE_BOOT: Answers._free_boot,
    Answer.SPLIT: Answers._split,
    Answer.COUNT_MANAGED: Answers._nothing,
    Answer.GRACE_PERIOD: Answers._grace_period,
    Answer.KEY_UP: Answers._key_up,
    Answer.KEY_DOWN: Answers._key_down,
    Answer.FLUSH_RANGE: Answers._flush_range,
    Answer.FLUSH_ALL: Answers._flush_all,
    Answer.COUNT_MEMMAP: Answers._count_memmap,
    Answer.COUNT_BOOT_MEMMAP: Answers._count_boot_memmap,
    Answer.COUNT_OTHER: Answers._nothing,
    Answer.NOTHING: Answers._nothing,
    Answer.REPORT: Answers._report,
    Answer.STOP: Answers._stop,
}
