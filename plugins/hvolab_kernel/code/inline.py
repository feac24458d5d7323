"""Stubs for single instructions in HVO's own code, which other kernels have in a function outside HVO.

They are found in the code of mm/hugetlb_vmemmap.c by their bits. The CPU executes each unchanged, and the machine
performs its effect beyond that CPU, as it does for a stub of a function.
Kernel: flush_tlb_kernel_range(), flush_tlb_all() and __tlbi_sync_s1ish() in arch/arm64/include/asm/tlbflush.h;
static_key_slow_inc() in include/linux/jump_label.h where JUMP_LABEL is off, arch/arm64/include/asm/atomic_ll_sc.h,
v6.12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hvolab_kernel.code.hvo_functions import hvo_functions
from hvolab_kernel.code.instructions import function_end
from hvolab_kernel.code.stubs import Argument, Stub, StubAction
from hvolab_vmlinux.kernel import Kernel

#: Mask of an instruction's field that names a register.
_FIELD: Final = 31


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


@dataclass(frozen=True)
class PlacedInstruction:
    """One instruction in one kernel: its VA, and the register of each argument; None: the argument is 0."""

    stub: Stub
    va: int
    registers: tuple[str | None, ...]


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


def inline_of(kernel: Kernel) -> tuple[PlacedInstruction, ...]:
    """Return those instructions in the code of a kernel's HVO, by address."""
    known = INLINE.get(kernel.image.machine)
    if known is None:
        return ()
    placed: dict[int, PlacedInstruction] = {}
    for name in hvo_functions(kernel):
        for va in kernel.symbols.all(name):
            size = function_end(kernel, va) - va & -_BYTES
            placed |= {one.va: one for one in _matches(known, va, kernel.image.read(va, size))}
    return tuple(placed[va] for va in sorted(placed))


def _matches(known: Sequence[InlineInstruction], va: int, code: bytes) -> Iterator[PlacedInstruction]:
    """Yield those in code that starts at ``va``."""
    words = np.frombuffer(code, "<u4")
    left = np.ones(len(words), dtype=np.bool_)
    for one in known:
        fits = left & (words & one.mask == one.word)
        left &= ~fits
        for index in np.flatnonzero(fits).tolist():
            registers = tuple(_register(int(words[index]) >> field & _FIELD) for field in one.fields)
            yield PlacedInstruction(one.stub, va + _BYTES * index, registers)


def _register(number: int) -> str | None:
    """Return the emulator's name of a register. Number 31 is 0, or the stack pointer, where no static key is."""
    return None if number == _FIELD else f"X{number}"
