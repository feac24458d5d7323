"""What a kernel does outside HVO by instructions within HVO's own code, where others call a function.

They are found in the code of mm/hugetlb_vmemmap.c by their bits. Each is carried out as it is; what it does beyond the
CPU that runs it, the machine answers for, as it does for a function that it stands in for.
Kernel: flush_tlb_kernel_range(), flush_tlb_all() and __tlbi_sync_s1ish() in arch/arm64/include/asm/tlbflush.h;
static_key_slow_inc() in include/linux/jump_label.h where JUMP_LABEL is off, arch/arm64/include/asm/atomic_ll_sc.h,
v6.12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from hvolab_kernel.code.instructions import LONGEST_FUNCTION
from hvolab_kernel.code.stubs import Argument, Stub, StubAction
from hvolab_kernel.identify.features import hvo_functions
from hvolab_vmlinux.kernel import Kernel

#: Bits of an instruction's field that names a register.
_FIELD: Final = 31


@dataclass(frozen=True)
class InlineInstruction:
    """An instruction of four bytes that the machine hears of.

    stand_in   what it is called, what it does, and what it is given
    mask, word  it is one where its bits under ``mask`` are those of ``word``
    fields     for each argument, the lowest bit of the field that names its register
    """

    stand_in: Stub
    mask: int
    word: int
    fields: tuple[int, ...] = ()


@dataclass(frozen=True)
class InlineCode:
    """The instructions of a machine, of which the first that fits counts, and how the emulator names its registers."""

    instructions: tuple[InlineInstruction, ...]
    register: str


@dataclass(frozen=True)
class PlacedInstruction:
    """One instruction in one kernel: what it does, its VA, and the registers that it takes; None: it takes 0."""

    stand_in: Stub
    va: int
    registers: tuple[str | None, ...]


@dataclass(frozen=True)
class PageOperand(Argument):
    """What names a page to a TLBI: bits 43:0 are bits 55:12 of its VA, whatever the base page is. Arm ARM C5.5."""

    def value(self, register: int) -> int:
        """The VA; above bit 55 it has what bit 55 has."""
        va = (register & (1 << 44) - 1) << 12
        return va | 0xFF << 56 if va >> 55 else va


_VA: Final = (PageOperand("va"),)
_STORE: Final = (Argument("address"), Argument("value", 4, signed=True))

#: Source: Arm ARM C5.5 (TLBI), C6.2 (DSB, STXR).
INLINE: Final = {
    "EM_AARCH64": InlineCode(
        (
            InlineInstruction(Stub("tlbi vmalle1is", StubAction.FLUSH_ALL_BEGUN), 0xFFFFFFFF, 0xD508831F),
            InlineInstruction(Stub("tlbi vaale1is", StubAction.FLUSH_PAGE_BEGUN, _VA), 0xFFFFFFE0, 0xD50883E0, (0,)),
            InlineInstruction(Stub("another tlbi", StubAction.STOP), 0xFFF8F000, 0xD5088000),
            InlineInstruction(Stub("dsb ish", StubAction.FLUSHES_DONE), 0xFFFFFFFF, 0xD5033B9F),
            InlineInstruction(Stub("stxr or stlxr", StubAction.KEY_STORED, _STORE), 0xFFE07C00, 0x88007C00, (5, 0)),
        ),
        "X{}",
    ),
}
_BYTES: Final = 4


def inline_of(kernel: Kernel) -> tuple[PlacedInstruction, ...]:
    """Those instructions in the code of a kernel's HVO, by address."""
    known = INLINE.get(kernel.image.machine)
    if known is None:
        return ()
    placed: dict[int, PlacedInstruction] = {}
    for name in hvo_functions(kernel):
        for va in kernel.symbols.all(name):
            end = min(kernel.symbols.end(va) or va, va + LONGEST_FUNCTION)
            placed |= {one.va: one for one in _found(known, va, kernel.image.read(va, end - va & -_BYTES))}
    return tuple(placed[va] for va in sorted(placed))


def _found(known: InlineCode, va: int, code: bytes) -> Iterator[PlacedInstruction]:
    """Those in code that starts at ``va``."""
    words = np.frombuffer(code, "<u4")
    left = np.ones(len(words), dtype=np.bool_)
    for one in known.instructions:
        fits = left & (words & one.mask == one.word)
        left &= ~fits
        for index in np.flatnonzero(fits).tolist():
            registers = tuple(_register(known, int(words[index]) >> field & _FIELD) for field in one.fields)
            yield PlacedInstruction(one.stand_in, va + _BYTES * index, registers)


def _register(known: InlineCode, number: int) -> str | None:
    """The emulator's name of a register; number 31 holds 0, or is the stack pointer, where no static key is."""
    return None if number == _FIELD else known.register.format(number)
