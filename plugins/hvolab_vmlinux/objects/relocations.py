# SPDX-License-Identifier: GPL-2.0-only
"""Relocations of objects, as data: the formula of each type, and the bits of the instruction that it fills.

No library was found that does this: pyelftools 0.33 relocates debugging information only, LIEF changes files without
linking them, and cle (of angr) has no relocation of riscv and resolves symbols only among files that it has loaded.
A linker of the target's binutils would have to be installed wherever an object is tried.

Source: System V ABI for x86-64, 4.4; ELF for the Arm 64-bit Architecture, 5.7; RISC-V ELF psABI, 8.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hvolab.arithmetic import div_round_up
from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.elf_object import ObjectRelocation

_MASK: Final = (1 << 64) - 1
_HALF: Final = 0x800
#: Pages of 4 KiB, whatever the kernel's: those of the instruction that adds a number of pages.
_PAGE_MASK: Final = ~0xFFF


class Formula(enum.Enum):
    """Value of a relocation of symbol S with addend A at place P; G is the address of an entry that holds S."""

    IGNORED = "none"
    ABSOLUTE = "S + A"
    RELATIVE = "S + A - P"
    PAGES = "page(S + A) - page(P)"
    ENTRY = "G + A - P"
    ENTRY_PAGES = "page(G) - page(P)"
    ENTRY_ABSOLUTE = "G + A"
    LOW_OF_HIGH = "the value of the relocation at S"
    ADDED = "content + S + A"
    SUBTRACTED = "content - S - A"


@dataclass(frozen=True)
class Bits:
    """A part of the value: `width` bits from bit `low` on, at bit `at` of the field; `added` rounds before."""

    low: int
    width: int
    at: int
    added: int = 0


@dataclass(frozen=True)
class RelocationType:
    """A type of relocation.

    name     as in the psABI, without the prefix
    size     bytes of the field
    bits     the parts of the value in it
    reach    bits of the signed value that it can hold; 0: any, the rest is dropped
    signed   False: the value is not negative
    """

    name: str
    formula: Formula
    size: int
    bits: tuple[Bits, ...]
    reach: int = 0
    signed: bool = True

    def fill(self, field: int, value: int, where: str) -> int:
        """Return the field with the value in it; raises ObjectFileError where the value does not fit."""
        rounded = value + max((one.added for one in self.bits), default=0)
        low, high = (
            (-(1 << self.reach - 1), 1 << self.reach - 1) if self.signed and self.reach else (0, 1 << self.reach)
        )
        if self.reach and not low <= rounded < high:
            raise ObjectFileError(
                f"{self.name} does not reach its target: {value:#x}", where=where, rule=f"{self.reach} bits"
            )
        for one in self.bits:
            mask = (1 << one.width) - 1
            field = field & ~(mask << one.at) | ((value + one.added) >> one.low & mask) << one.at
        return field


def _whole(name: str, formula: Formula, bits: int, *, reach: int = 0, signed: bool = True) -> RelocationType:
    return RelocationType(name, formula, div_round_up(bits, 8), (Bits(0, bits, 0),), reach, signed)


def _code(name: str, formula: Formula, reach: int, *bits: Bits, size: int = 4) -> RelocationType:
    return RelocationType(name, formula, size, bits, reach)


_F = Formula
_HIGH, _LOW = Bits(12, 20, 12, _HALF), Bits(0, 12, 20)
_LOW_OF_STORE: Final = (Bits(5, 7, 25), Bits(0, 5, 7))
_PAIR: Final = (_HIGH, Bits(0, 12, 52))
_BRANCH: Final = (Bits(12, 1, 31), Bits(5, 6, 25), Bits(1, 4, 8), Bits(11, 1, 7))
_JAL: Final = (Bits(20, 1, 31), Bits(1, 10, 21), Bits(11, 1, 20), Bits(12, 8, 12))
_SHORT_BRANCH: Final = (Bits(8, 1, 12), Bits(3, 2, 10), Bits(6, 2, 5), Bits(1, 2, 3), Bits(5, 1, 2))
_SHORT_JUMP: Final = (
    *(Bits(11, 1, 12), Bits(4, 1, 11), Bits(8, 2, 9), Bits(10, 1, 8)),
    *(Bits(6, 1, 7), Bits(7, 1, 6), Bits(1, 3, 3), Bits(5, 1, 2)),
)
_PAGE: Final = (Bits(12, 2, 29), Bits(14, 19, 5))

_X86_64: Final = {
    0: RelocationType("NONE", _F.IGNORED, 0, ()),
    1: _whole("64", _F.ABSOLUTE, 64),
    2: _whole("PC32", _F.RELATIVE, 32, reach=32),
    4: _whole("PLT32", _F.RELATIVE, 32, reach=32),
    9: _whole("GOTPCREL", _F.ENTRY, 32, reach=32),
    10: _whole("32", _F.ABSOLUTE, 32, reach=32, signed=False),
    11: _whole("32S", _F.ABSOLUTE, 32, reach=32),
    24: _whole("PC64", _F.RELATIVE, 64),
    41: _whole("GOTPCRELX", _F.ENTRY, 32, reach=32),
    42: _whole("REX_GOTPCRELX", _F.ENTRY, 32, reach=32),
}
_AARCH64: Final = {
    0: RelocationType("NONE", _F.IGNORED, 0, ()),
    257: _whole("ABS64", _F.ABSOLUTE, 64),
    258: _whole("ABS32", _F.ABSOLUTE, 32),
    260: _whole("PREL64", _F.RELATIVE, 64),
    261: _whole("PREL32", _F.RELATIVE, 32, reach=32),
    262: _whole("PREL16", _F.RELATIVE, 16, reach=16),
    274: _code("ADR_PREL_LO21", _F.RELATIVE, 21, Bits(0, 2, 29), Bits(2, 19, 5)),
    275: _code("ADR_PREL_PG_HI21", _F.PAGES, 33, *_PAGE),
    276: _code("ADR_PREL_PG_HI21_NC", _F.PAGES, 0, *_PAGE),
    277: _code("ADD_ABS_LO12_NC", _F.ABSOLUTE, 0, Bits(0, 12, 10)),
    278: _code("LDST8_ABS_LO12_NC", _F.ABSOLUTE, 0, Bits(0, 12, 10)),
    279: _code("TSTBR14", _F.RELATIVE, 16, Bits(2, 14, 5)),
    280: _code("CONDBR19", _F.RELATIVE, 21, Bits(2, 19, 5)),
    282: _code("JUMP26", _F.RELATIVE, 28, Bits(2, 26, 0)),
    283: _code("CALL26", _F.RELATIVE, 28, Bits(2, 26, 0)),
    284: _code("LDST16_ABS_LO12_NC", _F.ABSOLUTE, 0, Bits(1, 11, 10)),
    285: _code("LDST32_ABS_LO12_NC", _F.ABSOLUTE, 0, Bits(2, 10, 10)),
    286: _code("LDST64_ABS_LO12_NC", _F.ABSOLUTE, 0, Bits(3, 9, 10)),
    299: _code("LDST128_ABS_LO12_NC", _F.ABSOLUTE, 0, Bits(4, 8, 10)),
    311: _code("ADR_GOT_PAGE", _F.ENTRY_PAGES, 33, *_PAGE),
    312: _code("LD64_GOT_LO12_NC", _F.ENTRY_ABSOLUTE, 0, Bits(3, 9, 10)),
}
_RISCV: Final = {
    0: RelocationType("NONE", _F.IGNORED, 0, ()),
    1: _whole("32", _F.ABSOLUTE, 32),
    2: _whole("64", _F.ABSOLUTE, 64),
    16: _code("BRANCH", _F.RELATIVE, 13, *_BRANCH),
    17: _code("JAL", _F.RELATIVE, 21, *_JAL),
    18: _code("CALL", _F.RELATIVE, 32, *_PAIR, size=8),
    19: _code("CALL_PLT", _F.RELATIVE, 32, *_PAIR, size=8),
    20: _code("GOT_HI20", _F.ENTRY, 32, _HIGH),
    23: _code("PCREL_HI20", _F.RELATIVE, 32, _HIGH),
    24: _code("PCREL_LO12_I", _F.LOW_OF_HIGH, 0, _LOW),
    25: _code("PCREL_LO12_S", _F.LOW_OF_HIGH, 0, *_LOW_OF_STORE),
    26: _code("HI20", _F.ABSOLUTE, 0, _HIGH),
    27: _code("LO12_I", _F.ABSOLUTE, 0, _LOW),
    28: _code("LO12_S", _F.ABSOLUTE, 0, *_LOW_OF_STORE),
    33: _whole("ADD8", _F.ADDED, 8),
    34: _whole("ADD16", _F.ADDED, 16),
    35: _whole("ADD32", _F.ADDED, 32),
    36: _whole("ADD64", _F.ADDED, 64),
    37: _whole("SUB8", _F.SUBTRACTED, 8),
    38: _whole("SUB16", _F.SUBTRACTED, 16),
    39: _whole("SUB32", _F.SUBTRACTED, 32),
    40: _whole("SUB64", _F.SUBTRACTED, 64),
    43: RelocationType("ALIGN", _F.IGNORED, 0, ()),  # more padding than needed, and it does nothing
    44: _code("RVC_BRANCH", _F.RELATIVE, 9, *_SHORT_BRANCH, size=2),
    45: _code("RVC_JUMP", _F.RELATIVE, 12, *_SHORT_JUMP, size=2),
    51: RelocationType("RELAX", _F.IGNORED, 0, ()),
    52: _whole("SUB6", _F.SUBTRACTED, 6),
    53: _whole("SET6", _F.ABSOLUTE, 6),
    54: _whole("SET8", _F.ABSOLUTE, 8),
    55: _whole("SET16", _F.ABSOLUTE, 16),
    56: _whole("SET32", _F.ABSOLUTE, 32),
    57: _whole("32_PCREL", _F.RELATIVE, 32, reach=32),
}


@dataclass(frozen=True)
class Patch:
    """Instructions with a relocation: how to jump from one address to another."""

    template: bytes
    offset: int
    type: RelocationType
    addend: int = 0

    def code(self, at: int, to: int) -> bytes:
        """Return the instructions, at one VA, that jump to another; raises ObjectFileError where it is too far."""
        value = to + self.addend - (at + self.offset)
        field = int.from_bytes(self.template[self.offset :], "little")
        filled = self.type.fill(field, value, f"a jump from {at:#x} to {to:#x}")
        return self.template[: self.offset] + filled.to_bytes(len(self.template) - self.offset, "little")


@dataclass(frozen=True)
class ObjectMachine:
    """The code of an ELF machine as a linker of objects needs it.

    types     types of relocations, by number
    trap      an instruction that stops the CPU, which compilers do not use for BUG()
    jump      a jump from one function to another, that changes no register of an argument
    branches  static branches: a NOP, and the jump of the same size, that stand at them
    """

    types: Mapping[int, RelocationType]
    trap: bytes
    jump: Patch
    branches: tuple[tuple[bytes, Patch], ...]


_SHORT: Final = _whole("PC8", _F.RELATIVE, 8, reach=8)
_LONG_JUMP: Final = Patch(b"\xe9\0\0\0\0", 1, _X86_64[2], -4)
_ARM64_JUMP: Final = Patch(b"\0\0\0\x14", 0, _AARCH64[282])
#: By ELF machine. Kernel: struct jump_entry and arch_jump_label_transform() of each architecture, v6.12.
OBJECT_MACHINES: Final = {
    "EM_X86_64": ObjectMachine(
        _X86_64,
        b"\xcc",
        _LONG_JUMP,
        ((b"\x66\x90", Patch(b"\xeb\0", 1, _SHORT, -1)), (b"\x0f\x1f\x44\0\0", _LONG_JUMP)),
    ),
    "EM_AARCH64": ObjectMachine(_AARCH64, b"\0\0\x20\xd4", _ARM64_JUMP, ((b"\x1f\x20\x03\xd5", _ARM64_JUMP),)),
    "EM_RISCV": ObjectMachine(
        _RISCV,
        b"\x02\x90",
        Patch(b"\x17\x03\0\0\x67\0\x03\0", 0, _RISCV[19]),  # auipc t1; jr t1
        ((b"\x13\0\0\0", Patch(b"\x6f\0\0\0", 0, _RISCV[17])),),
    ),
}


@dataclass(frozen=True)
class Addresses:
    """Addresses that relocations need: of a symbol by its number, and of an entry that holds an address."""

    symbol: Callable[[int], int]
    entry: Callable[[int], int]


def relocate(
    content: bytearray,
    va: int,
    relocations: list[ObjectRelocation],
    types: Mapping[int, RelocationType],
    addresses: Addresses,
    where: str,
) -> None:
    """Apply the relocations of a section that starts at `va` to its content.

    Raises ObjectFileError for an unknown type, and for a value that does not fit.
    """
    values: dict[int, int] = {}
    low = []
    for one in relocations:
        known = types.get(one.kind)
        place = f"{where}+{one.offset:#x}"
        if known is None or one.offset + known.size > len(content):
            fault = f"type {one.kind} is unknown" if known is None else "it is beyond the section's end"
            raise ObjectFileError(f"a relocation cannot be applied: {fault}", where=place)
        if known.formula is Formula.LOW_OF_HIGH:
            low.append((one, known, place))
        elif known.formula is not Formula.IGNORED:
            value = _value(known, one, va + one.offset, content, addresses)
            values.setdefault(va + one.offset, value)
            _put(content, one.offset, known, value, place)
    for one, known, place in low:
        high = addresses.symbol(one.symbol)
        if high not in values:
            raise ObjectFileError(f"{known.name} has no partner at {high:#x}", where=place)
        _put(content, one.offset, known, values[high], place)


def _put(content: bytearray, offset: int, known: RelocationType, value: int, place: str) -> None:
    end = offset + known.size
    field = known.fill(int.from_bytes(content[offset:end], "little"), value, place)
    content[offset:end] = field.to_bytes(known.size, "little")


def _value(known: RelocationType, one: ObjectRelocation, place: int, content: bytearray, addresses: Addresses) -> int:
    """Return the value of a relocation, as a signed number where it is a distance."""
    symbol = addresses.symbol(one.symbol)
    target = symbol + one.addend
    match known.formula:
        case Formula.ABSOLUTE:
            value = target
        case Formula.RELATIVE:
            value = target - place
        case Formula.PAGES:
            value = (target & _PAGE_MASK) - (place & _PAGE_MASK)
        case Formula.ENTRY:
            value = addresses.entry(symbol) + one.addend - place
        case Formula.ENTRY_PAGES:
            value = (addresses.entry(target) & _PAGE_MASK) - (place & _PAGE_MASK)
        case Formula.ENTRY_ABSOLUTE:
            value = addresses.entry(target)
        case _:
            old = int.from_bytes(content[one.offset : one.offset + known.size], "little")
            old &= (1 << known.bits[0].width) - 1
            value = old + target if known.formula is Formula.ADDED else old - target
    return _signed(value) if known.signed else value & _MASK


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value
