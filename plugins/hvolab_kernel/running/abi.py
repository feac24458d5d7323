# SPDX-License-Identifier: GPL-2.0-only
"""C calling conventions of the architectures whose kernels hvolab runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab_vmlinux.errors import KernelImageError


@dataclass(frozen=True)
class CallingConvention:
    """Registers and instructions of a C calling convention; registers by the emulator's names, without prefix.

    arguments  registers of the first arguments, in order
    result     register of the result
    counter    program counter
    stack      stack pointer
    returning  the instruction that returns, little-endian
    returning_zero  the instructions that return 0, likewise
    link       register of the return address; empty: it is on the stack
    per_cpu    register of the offset to per-CPU data; empty: the kernel finds it by the task's CPU
    current    register of the current task; empty: none
    bugs       the instructions of BUG() and WARN(), little-endian, each with its mnemonic
    """

    arguments: tuple[str, ...]
    result: str
    counter: str
    stack: str
    returning: bytes
    returning_zero: bytes
    link: str = ""
    per_cpu: str = ""
    current: str = ""
    bugs: tuple[tuple[bytes, str], ...] = ()


#: Kernel: ASM_UD2 in arch/x86/include/asm/bug.h, __BUG_INSN in arch/riscv/include/asm/bug.h, BUG_BRK_IMM in
#: arch/arm64/include/asm/brk-imm.h, v6.12.
_X86_BUGS: Final = ((b"\x0f\x0b", "ud2"), (b"\xcc", "int3"))
_ARM64_BUGS: Final = ((b"\x00\x00\x21\xd4", "brk #0x800"),)
_RISCV_BUGS: Final = ((b"\x73\x00\x10\x00", "ebreak"), (b"\x02\x90", "c.ebreak"))
#: System V ABI for x86-64, section 3.2; AAPCS64, section 6; RISC-V calling convention.
#: Kernel: get_current() in arch/arm64/include/asm/current.h, __my_cpu_offset in arch/arm64/include/asm/percpu.h, v6.12.
CONVENTIONS: Final = {
    "EM_X86_64": CallingConvention(
        ("RDI", "RSI", "RDX", "RCX", "R8", "R9"),
        "RAX",
        "RIP",
        "RSP",
        b"\xc3",
        b"\x31\xc0\xc3",  # xor eax, eax
        per_cpu="GS_BASE",
        bugs=_X86_BUGS,
    ),
    "EM_AARCH64": CallingConvention(
        ("X0", "X1", "X2", "X3", "X4", "X5"),
        "X0",
        "PC",
        "SP",
        b"\xc0\x03\x5f\xd6",
        b"\x00\x00\x80\xd2\xc0\x03\x5f\xd6",  # mov x0, #0
        "X30",
        per_cpu="TPIDR_EL1",
        current="SP_EL0",
        bugs=_ARM64_BUGS,
    ),
    "EM_RISCV": CallingConvention(
        ("A0", "A1", "A2", "A3", "A4", "A5"),
        "A0",
        "PC",
        "SP",
        b"\x82\x80",
        b"\x01\x45\x82\x80",  # li a0, 0
        "RA",
        current="TP",
        bugs=_RISCV_BUGS,
    ),
}


def convention_of(machine: str) -> CallingConvention:
    """Return the convention of an ELF machine; raises KernelImageError for one whose kernels hvolab cannot run."""
    convention = CONVENTIONS.get(machine)
    if convention is None:
        raise KernelImageError(
            f"cannot run the code of {machine} kernels",
            rule=f"hvolab runs kernels of {', '.join(CONVENTIONS)}",
            hint="read its image instead: hvolab image, hvolab disasm",
        )
    return convention
