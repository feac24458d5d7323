# SPDX-License-Identifier: GPL-2.0-only
"""Disassembly of a kernel's functions, with operands in one format for all architectures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from hvolab_kernel.code.isa import Isa, full_register, isa_of
from hvolab_vmlinux.errors import KernelImageError, SymbolError, missing_library
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel

#: No function of a kernel is longer than this many bytes.
_LONGEST_FUNCTION: Final = 1 << 18
#: Bytes of the longest instruction. Source: Intel SDM, volume 3, section 23.15.
_LONGEST_INSTRUCTION: Final = 15
_SIGNED_20: Final = 1 << 19


@dataclass(frozen=True)
class Operand:
    """An operand: a register, a number, or memory at a register plus a displacement.

    register  full name of the register, or of the base; empty: none
    number    the number, or the displacement
    memory    whether it is memory
    index     register that is added to the base; empty: none
    size      size in bytes, 0 where unknown; of `movk`, the lowest bit that the number replaces
    """

    register: str = ""
    number: int = 0
    memory: bool = False
    index: str = ""
    size: int = 0


@dataclass(frozen=True)
class Instruction:
    """An instruction; `written` has the registers that it writes, `target` is the VA of a direct jump or call."""

    va: int
    code: bytes
    mnemonic: str
    text: str
    operands: tuple[Operand, ...]
    written: frozenset[str]
    target: int | None = None

    @property
    def end(self) -> int:
        """VA of the next instruction."""
        return self.va + len(self.code)

    @property
    def memory(self) -> Operand | None:
        """The first operand in memory, or None."""
        return next((operand for operand in self.operands if operand.memory), None)


@dataclass(frozen=True)
class Function:
    """A function; `end` is the VA after its last byte."""

    name: str
    va: int
    end: int
    instructions: tuple[Instruction, ...]
    isa: Isa


def function_named(kernel: Kernel, name: str) -> Function:
    """Return the function of that name, or at that VA (``0x…``).

    Raises SymbolError where there is none or several, KernelImageError where the bytes are not in the image.
    """
    symbols = kernel.symbols
    if name.lower().startswith("0x"):
        try:
            requested = int(name, 16)
        except ValueError as error:
            raise SymbolError(f"{name!r} is not a VA", hint="name a function, or its VA in hex") from error
        place = symbols.at(requested) if 0 <= requested < 1 << 64 else None
        if place is None or kernel.image.segment_of(requested) is None:
            raise SymbolError(f"VA {requested:#x} is not in the image", hint="check it with `hvolab image`")
        name, va = place.symbol, requested - place.offset
    else:
        variants = symbols.variants(name)
        name = variants[0] if len(variants) == 1 else name
        va = symbols.address(name)
    end = function_end(kernel, va)
    segment = kernel.image.segment_of(va)
    if segment is None or not va < end <= segment.end or va - segment.va >= len(segment.content):
        raise KernelImageError(
            f"{name} has no bytes in the image",
            where=f"VA {va:#x}",
            rule="a function ends where the next symbol begins",
            hint="name a function; absolute symbols and zeroed data have no code",
        )
    known = _disassembled_of(kernel)
    if va not in known:
        isa = isa_of(kernel.image.machine)
        known[va] = Function(name, va, end, disassembled(kernel.image.read(va, end - va), va, isa), isa)
    return known[va] if known[va].name == name else replace(known[va], name=name)


def instruction_at(kernel: Kernel, va: int) -> Instruction | None:
    """Return the instruction that begins at a VA; None where the image has no bytes of it.

    Raises HvolabError without the package capstone.
    """
    segment = kernel.image.segment_of(va)
    stop = 0 if segment is None else min(va + _LONGEST_INSTRUCTION, segment.va + len(segment.content))
    if stop <= va:
        return None
    return disassembled(kernel.image.read(va, stop - va), va, isa_of(kernel.image.machine))[0]


def function_end(kernel: Kernel, va: int) -> int:
    """Return the VA at which a function that starts at `va` ends at the latest: that of the next symbol."""
    return min(kernel.symbols.end(va) or va, va + _LONGEST_FUNCTION)


@cached_per_kernel  # searches for calls read the same few functions again and again
def _disassembled_of(kernel: Kernel) -> dict[int, Function]:
    """Return the functions of a kernel that were already disassembled, by VA."""
    del kernel
    return {}


def disassembled(code: bytes, va: int, isa: Isa) -> tuple[Instruction, ...]:
    """Disassemble `code`; raises HvolabError without the package capstone."""
    try:
        import capstone  # noqa: PLC0415 - optional
    except ImportError as error:
        raise missing_library("capstone", "disassembling") from error
    name, modes = isa.disassembler
    engine = capstone.Cs(getattr(capstone, name), sum(getattr(capstone, mode) for mode in modes))
    engine.detail = True
    engine.skipdata = True
    read = {"CS_ARCH_X86": _x86, "CS_ARCH_ARM64": _arm64, "CS_ARCH_RISCV": _riscv}[name]
    return tuple(_raw(one) if one.id == 0 else read(one, capstone) for one in engine.disasm(code, va))


def _raw(raw: Any) -> Instruction:
    """Return bytes that the disassembler does not know, as an instruction without operands."""
    return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, raw.op_str, (), frozenset())


def _operands(raw: Any, capstone: Any) -> list[Operand]:
    found = []
    for one in raw.operands:
        size = int(getattr(one, "size", 0))
        if one.type == capstone.CS_OP_REG:
            found.append(Operand(full_register(raw.reg_name(one.reg)), size=size))
        elif one.type == capstone.CS_OP_IMM:
            found.append(Operand(number=one.imm, size=size))
        elif one.type == capstone.CS_OP_MEM:
            base, index = (
                full_register(raw.reg_name(number)) if number else ""
                for number in (one.mem.base, getattr(one.mem, "index", 0))
            )
            found.append(Operand(base, one.mem.disp, memory=True, index=index, size=size))
        else:
            found.append(Operand())
    return found


def _x86(raw: Any, capstone: Any) -> Instruction:
    operands = [
        # a displacement from the instruction pointer is an address
        Operand("", raw.address + raw.size + one.number, memory=True, size=one.size) if one.register == "rip" else one
        for one in _operands(raw, capstone)
    ]
    return _instruction(raw, operands, capstone)


def _arm64(raw: Any, capstone: Any) -> Instruction:
    operands = _operands(raw, capstone)
    if raw.mnemonic == "movk":
        position = raw.operands[1].shift.value
        operands[1] = Operand(number=operands[1].number << position, size=position)
    return _instruction(raw, operands, capstone)


def _riscv(raw: Any, capstone: Any) -> Instruction:
    operands = _operands(raw, capstone)
    plain = raw.mnemonic.removeprefix("c.")
    written = set()
    if plain not in {"sd", "sw", "sh", "sb", "sdsp", "swsp", "fsd", "fsw", "jr", "j"} and not plain.startswith("b"):
        written = {one.register for one in operands[:1] if one.register and not one.memory}
    target = None
    if plain in {"j", "jal"} or (plain.startswith("b") and len(operands) > 1):
        target = raw.address + operands[-1].number if operands and not operands[-1].register else None
    if plain == "auipc" and len(operands) == 2:
        page = operands[1].number & 0xFFFFF
        page -= 2 * _SIGNED_20 if page >= _SIGNED_20 else 0
        operands[1] = Operand(number=(raw.address + (page << 12)) % (1 << 64))
    if plain in {"ld", "sd"} and len(operands) == 3 and not operands[1].register:
        # the disassembler presents displacement and base of the compressed encoding as two operands
        operands[1:] = [Operand(operands[2].register, operands[1].number, memory=True, size=8)]
    text = raw.op_str if target is None else f"{raw.op_str.rpartition(',')[0]}, {target:#x}".removeprefix(", ")
    return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, text, tuple(operands), frozenset(written), target)


def _instruction(raw: Any, operands: list[Operand], capstone: Any) -> Instruction:
    written = frozenset(full_register(raw.reg_name(one)) for one in raw.regs_access()[1])
    groups = {capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, capstone.CS_GRP_BRANCH_RELATIVE}
    jumps = operands and not groups.isdisjoint(raw.groups) and not operands[-1].register and not operands[-1].memory
    target = operands[-1].number % (1 << 64) if jumps else None
    return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, raw.op_str, tuple(operands), written, target)
