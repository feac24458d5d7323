"""One function of a kernel as instructions, each with its operands in one form for all architectures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from hvolab_kernel.code.isa import Dialect, dialect_of, whole
from hvolab_vmlinux.errors import KernelImageError, SymbolError, missing_library
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel

#: No function of a kernel is longer than this many bytes.
LONGEST_FUNCTION: Final = 1 << 18
_SIGNED_20: Final = 1 << 19


@dataclass(frozen=True)
class Operand:
    """One operand: a register, a number, or memory at a register plus a displacement.

    register  full name of the register, or of the base; empty: none
    number    the number, or the displacement
    memory    whether it is memory
    index     register that is added to the base, empty: none
    size      bytes, where the disassembler tells, else 0; of `movk`, the lowest bit that the number replaces
    """

    register: str = ""
    number: int = 0
    memory: bool = False
    index: str = ""
    size: int = 0


@dataclass(frozen=True)
class Instruction:
    """One instruction: its VA and bytes, its text, its operands, and the registers that it writes, in full names."""

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


@dataclass(frozen=True)
class Function:
    """A function: its name, first VA, the VA behind it, and its instructions."""

    name: str
    va: int
    end: int
    instructions: tuple[Instruction, ...]
    dialect: Dialect


def function_named(kernel: Kernel, name: str) -> Function:
    """The function of that name, or at that VA (``0x…``).

    Raises SymbolError where there is none or several, KernelImageError where the bytes are not in the image.
    """
    symbols = kernel.symbols
    if name.lower().startswith("0x"):
        try:
            asked = int(name, 16)
        except ValueError as error:
            raise SymbolError(f"{name!r} is no VA", hint="name a function, or its VA in hex") from error
        place = symbols.at(asked) if 0 <= asked < 1 << 64 else None
        if place is None or kernel.image.segment_of(asked) is None:
            raise SymbolError(f"VA {asked:#x} is not in the image", hint="check it with `hvolab image`")
        name, va = place.symbol, asked - place.offset
    else:
        variants = symbols.variants(name)
        name = variants[0] if len(variants) == 1 else name
        va = symbols.address(name)
    end = min(symbols.end(va) or va, va + LONGEST_FUNCTION)
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
        dialect = dialect_of(kernel.image.machine)
        known[va] = Function(name, va, end, disassembled(kernel.image.read(va, end - va), va, dialect), dialect)
    return known[va] if known[va].name == name else replace(known[va], name=name)


@cached_per_kernel  # who looks for calls goes through the same few functions again and again
def _disassembled_of(kernel: Kernel) -> dict[int, Function]:
    """The functions of a kernel that were disassembled already, by VA."""
    del kernel
    return {}


def disassembled(code: bytes, va: int, dialect: Dialect) -> tuple[Instruction, ...]:
    """The instructions in `code`, as far as the bytes are instructions; HvolabError without the package capstone."""
    try:
        import capstone  # noqa: PLC0415 - optional
    except ImportError as error:
        raise missing_library("capstone", "disassembling") from error
    name, modes = dialect.disassembler
    engine = capstone.Cs(getattr(capstone, name), sum(getattr(capstone, mode) for mode in modes))
    engine.detail = True
    engine.skipdata = True
    reading = {"CS_ARCH_X86": _x86, "CS_ARCH_ARM64": _arm64, "CS_ARCH_RISCV": _riscv}[name]
    return tuple(_raw(one) if one.id == 0 else reading(one, capstone) for one in engine.disasm(code, va))


def _raw(raw: Any) -> Instruction:
    """Bytes that are no instruction that the disassembler knows."""
    return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, raw.op_str, (), frozenset())


def _operands(raw: Any, capstone: Any) -> list[Operand]:
    found = []
    for one in raw.operands:
        size = int(getattr(one, "size", 0))
        if one.type == capstone.CS_OP_REG:
            found.append(Operand(whole(raw.reg_name(one.reg)), size=size))
        elif one.type == capstone.CS_OP_IMM:
            found.append(Operand(number=one.imm, size=size))
        elif one.type == capstone.CS_OP_MEM:
            base, index = one.mem.base, getattr(one.mem, "index", 0)
            found.append(
                Operand(
                    whole(raw.reg_name(base)) if base else "",
                    one.mem.disp,
                    memory=True,
                    index=whole(raw.reg_name(index)) if index else "",
                    size=size,
                )
            )
        else:
            found.append(Operand())
    return found


def _x86(raw: Any, capstone: Any) -> Instruction:
    operands = [
        # a displacement from the instruction pointer is an address
        Operand("", raw.address + raw.size + one.number, memory=True, size=one.size) if one.register == "rip" else one
        for one in _operands(raw, capstone)
    ]
    target = None
    if operands and not operands[0].memory and not operands[0].register and _jumps(raw, capstone):
        target = operands[0].number % (1 << 64)
    return _made(raw, operands, target)


def _arm64(raw: Any, capstone: Any) -> Instruction:
    operands = _operands(raw, capstone)
    if raw.mnemonic == "movk":
        position = raw.operands[1].shift.value
        operands[1] = Operand(number=operands[1].number << position, size=position)
    direct = _jumps(raw, capstone) and operands and not operands[-1].register
    return _made(raw, operands, operands[-1].number % (1 << 64) if direct else None)


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
        # the disassembler takes the compressed form's displacement and base for two operands
        operands[1:] = [Operand(operands[2].register, operands[1].number, memory=True, size=8)]
    text = raw.op_str if target is None else f"{raw.op_str.rpartition(',')[0]}, {target:#x}".removeprefix(", ")
    return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, text, tuple(operands), frozenset(written), target)


def _jumps(raw: Any, capstone: Any) -> bool:
    groups = {capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, getattr(capstone, "CS_GRP_BRANCH_RELATIVE", 7)}
    return bool(groups & set(raw.groups))


def _made(raw: Any, operands: list[Operand], target: int | None) -> Instruction:
    written = frozenset(whole(raw.reg_name(one)) for one in raw.regs_access()[1])
    return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, raw.op_str, tuple(operands), written, target)
