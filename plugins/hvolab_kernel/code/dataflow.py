# SPDX-License-Identifier: GPL-2.0-only
"""Data flow within a function: the known values of registers before each instruction.

Three kinds of values are followed through copies, from block to block: addresses (built by two instructions on arm64
and riscv), pointers that are parameters of the function, and page-table entries, which are numbers with the bits of a
protection and all that is combined with them. Where two paths into a block disagree, the value is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hvolab.arithmetic import WORD_BYTES
from hvolab_kernel.code.instructions import Function, Instruction, Operand

#: Functions that preserve every register. Kernel: __fentry__ in arch/x86/kernel/ftrace_64.S, v6.12.
_PRESERVING: Final = frozenset({"__fentry__", "_mcount", "mcount"})
_COMBINING: Final = frozenset(
    {"or", "orr", "and", "bic", "add", "c.or", "c.and", "c.add", "eor", "xor", "c.xor", "orn"}
)
_LOADS: Final = frozenset({"ld", "c.ld", "ldr", "ldur", "mov"})
_ADDRESSES: Final = frozenset({"adr", "adrp", "auipc", "lea"})
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True)
class Pointer:
    """A pointer that is a parameter of the function: its type and name, as ``pte_t *pte``."""

    name: str


@dataclass(frozen=True)
class Entry:
    """A page-table entry: the name of its protection, or of several."""

    name: str


#: Value of a register: a number or an address, a pointer, or an entry.
Value = int | Pointer | Entry
Registers = Mapping[str, Value]


def number_in(registers: Registers, name: str) -> int | None:
    """Return the number or address that a register holds; None where it holds another value, or an unknown one."""
    value = registers.get(name)
    return value if isinstance(value, int) else None


def registers_before(
    function: Function, parameters: Registers, protections: Mapping[int, str], callees: Mapping[int, str]
) -> list[Registers]:
    """Return the known registers before each instruction.

    parameters   registers at the function's entry
    protections  names of protections, by their bits in an entry
    callees      names of the functions that are called, by VA
    """
    instructions = function.instructions
    position = {one.va: index for index, one in enumerate(instructions)}
    before: list[dict[str, Value] | None] = [None] * len(instructions)
    if not instructions:
        return []
    before[0] = dict(parameters)
    waiting = [0]
    while waiting:
        index = waiting.pop()
        registers = before[index]
        one = instructions[index]
        after = _after(one, dict(registers or {}), function, protections, callees)
        following = [] if one.mnemonic in function.isa.ends else [index + 1]
        if one.target in position and one.mnemonic not in function.isa.calls:
            following.append(position[one.target])
        for other in following:
            if other >= len(instructions):
                continue
            known = before[other]
            merged = after if known is None else _merged(known, after)
            if known is None or merged != known:
                before[other] = dict(merged)
                waiting.append(other)
    return [registers or {} for registers in before]


def _merged(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    both = {}
    for register in one.keys() & other.keys():
        first, second = one[register], other[register]
        if first == second:
            both[register] = first
        elif isinstance(first, Entry) and isinstance(second, Entry):
            names = sorted({*first.name.split(" or "), *second.name.split(" or ")})
            both[register] = Entry(" or ".join(names))
    return both


def _after(
    one: Instruction,
    registers: dict[str, Value],
    function: Function,
    protections: Mapping[int, str],
    callees: Mapping[int, str],
) -> dict[str, Value]:
    """Return the known registers after an instruction."""
    isa = function.isa
    if one.mnemonic in isa.calls:
        if one.target is None or callees.get(one.target) not in _PRESERVING:
            for register in (*isa.arguments, *isa.scratch):
                registers.pop(register, None)
        return registers
    result = _result(one, registers, isa.moves)
    slot = _slot(one, isa.stack)
    if slot is not None and one.mnemonic in _LOADS and not one.operands[0].memory:
        result = registers.get(slot)
    elif slot is not None and one.mnemonic in isa.stores:
        stored = stored_value(one, registers)
        registers.pop(slot, None)
        return registers | {slot: stored} if stored is not None else registers
    for register in one.written:
        registers.pop(register, None)
        if register in isa.stack:
            registers = {place: value for place, value in registers.items() if not place.startswith(f"[{register}")}
    if result is not None and one.operands and one.operands[0].register and not one.operands[0].memory:
        if isinstance(result, int) and result in protections:
            result = Entry(protections[result])
        registers[one.operands[0].register] = result
    return registers


def _slot(one: Instruction, stack: tuple[str, ...]) -> str | None:
    """Return the name of the eight-byte stack slot that is one operand of two; None where there is none."""
    place = one.memory
    if place is None or len(one.operands) != 2 or place.register not in stack or place.index:
        return None
    if place.size not in {0, WORD_BYTES}:
        return None
    return f"[{place.register}{place.number:+#x}]"


def stored_value(one: Instruction, registers: Registers) -> Value | None:
    """Return the value that a store or exchange writes to memory; None where it is unknown."""
    values = [operand for operand in one.operands if not operand.memory]
    return _value_of(values[-1], registers) if values else None


def _result(one: Instruction, registers: Registers, moves: frozenset[str]) -> Value | None:
    """Return the value that an instruction stores to its first operand; None where it is unknown."""
    operands = one.operands
    if len(operands) == 2 and one.mnemonic in moves:
        return _value_of(operands[1], registers)
    built = _built(one, registers)
    if built is not None or one.mnemonic not in _COMBINING:
        return built
    values = (_value_of(operand, registers) for operand in operands)
    return next((value for value in values if isinstance(value, Entry)), None)


def _built(one: Instruction, registers: Registers) -> Value | None:
    """Return a number or an address that is built of parts."""
    operands, plain = one.operands, one.mnemonic.removeprefix("c.")
    if plain in _ADDRESSES and len(operands) == 2 and not operands[1].register and not operands[1].index:
        return operands[1].number & _MASK
    if plain == "movk" and len(operands) == 2:
        base = number_in(registers, operands[0].register)
        if base is not None:
            return base & ~(0xFFFF << operands[1].size) | operands[1].number
    elif plain in {"add", "addi"} and len(operands) == 3 and not operands[2].register:
        source = operands[1].register
        base = 0 if source == "zero" else number_in(registers, source)
        if base is not None:
            return (base + operands[2].number) & _MASK
        return registers.get(source) if operands[2].number == 0 else None
    return None


def _value_of(operand: Operand, registers: Registers) -> Value | None:
    if operand.memory:
        return None
    if operand.register:
        return registers.get(operand.register)
    return operand.number & _MASK
