# SPDX-License-Identifier: GPL-2.0-only
"""Instruction sets as the disassembler presents them: calling convention, and mnemonics by their effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab_vmlinux.errors import KernelImageError


@dataclass(frozen=True)
class Isa:
    """The instruction set of an ELF machine.

    disassembler  names of capstone's constants for the architecture and its modes
    arguments     registers of a function's arguments, in order; callees may change these and `scratch`
    scratch       other registers that callees may change
    stack         registers that point to the stack
    moves         mnemonics that copy their second operand, a register or a number
    stores        mnemonics of plain stores of eight bytes
    exchanges     mnemonics of compare-and-swap and exchange
    calls         mnemonics of calls
    publishing    instructions that directly follow stores of entries, and no other stores
    ends          mnemonics after which the next instruction is not reached; after a WARN() it is
    """

    disassembler: tuple[str, tuple[str, ...]]
    arguments: tuple[str, ...]
    scratch: tuple[str, ...]
    stack: tuple[str, ...]
    moves: frozenset[str]
    stores: frozenset[str]
    exchanges: frozenset[str]
    calls: frozenset[str]
    publishing: tuple[str, ...]
    ends: frozenset[str]


ISAS: Final = {
    "EM_X86_64": Isa(
        ("CS_ARCH_X86", ("CS_MODE_64",)),
        ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
        ("rax", "r10", "r11"),
        ("rsp",),
        frozenset({"mov", "movabs"}),
        frozenset({"mov"}),
        frozenset({"xchg", "cmpxchg", "lock cmpxchg"}),
        frozenset({"call"}),
        (),
        frozenset({"jmp", "ret", "int3"}),
    ),
    "EM_AARCH64": Isa(
        ("CS_ARCH_ARM64", ("CS_MODE_ARM",)),
        tuple(f"x{number}" for number in range(8)),
        tuple(f"x{number}" for number in (*range(8, 19), 30)),
        ("sp", "x29"),
        frozenset({"mov"}),
        frozenset({"str", "stlr", "stur"}),
        frozenset({"cas", "casa", "casl", "casal", "swp", "swpa", "swpl", "swpal"}),
        frozenset({"bl", "blr"}),
        ("dsb ishst", "isb"),  # Kernel: __set_pte() in arch/arm64/include/asm/pgtable.h, v6.12.
        frozenset({"b", "br", "ret"}),
    ),
    "EM_RISCV": Isa(
        ("CS_ARCH_RISCV", ("CS_MODE_RISCV64", "CS_MODE_RISCVC")),
        tuple(f"a{number}" for number in range(8)),
        (*(f"t{number}" for number in range(7)), "ra"),
        ("sp", "s0"),
        frozenset({"mv", "c.mv", "li", "c.li"}),
        frozenset({"sd", "c.sd"}),
        frozenset({"amoswap.d", "amoswap.d.aq", "amoswap.d.rl", "amoswap.d.aqrl", "sc.d", "sc.d.rl"}),
        frozenset({"jal", "jalr", "c.jal", "c.jalr"}),
        (),
        frozenset({"j", "c.j", "jr", "c.jr", "ret"}),
    ),
}

_X86_NAMES: Final = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
#: The full register that contains the named part, for each part that has another name.
_FULL: Final = {
    **{f"e{name}": f"r{name}" for name in _X86_NAMES},
    **{name: f"r{name}" for name in _X86_NAMES if name != "sp"},  # which is a full register of arm64 and riscv
    **{f"{name[0]}{half}": f"r{name}" for name in _X86_NAMES[:4] for half in "lh"},
    **{f"{name}l": f"r{name}" for name in _X86_NAMES[4:]},
    **{f"r{number}{part}": f"r{number}" for number in range(8, 16) for part in "dwb"},
    **{f"w{number}": f"x{number}" for number in range(31)},
    "fp": "x29",
    "lr": "x30",
    "wzr": "xzr",
}


def isa_of(machine: str) -> Isa:
    """Return the instruction set of an ELF machine; raises KernelImageError for an unknown machine."""
    try:
        return ISAS[machine]
    except KeyError as error:
        raise KernelImageError(
            f"code of {machine} cannot be disassembled",
            rule=f"hvolab knows {', '.join(ISAS)}",
            hint="name a kernel of one of these machines",
        ) from error


def full_register(register: str) -> str:
    """Return the full register that contains the named one: ``rax`` for ``eax``, ``x3`` for ``w3``."""
    return _FULL.get(register, register)
