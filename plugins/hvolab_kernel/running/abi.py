"""How kernels pass arguments, results and return addresses: the C calling convention of each architecture."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab_vmlinux.errors import KernelImageError


@dataclass(frozen=True)
class CallingConvention:
    """Registers by the emulator's names, without their prefix.

    arguments  those of the first arguments, in order
    result     that of the result
    counter    the program counter
    stack      the stack pointer
    back       the instruction that returns, little-endian
    link       the register with the return address; empty: it is on the stack
    per_cpu    the register that per-CPU data is reached through; empty: none that has to be set
    current    the register that holds the current task; empty: none
    bugs       instructions that BUG() and WARN() are, little-endian, each with what it is called
    """

    arguments: tuple[str, ...]
    result: str
    counter: str
    stack: str
    back: bytes
    link: str = ""
    per_cpu: str = ""
    current: str = ""
    bugs: tuple[tuple[bytes, str], ...] = ()


#: System V ABI for x86-64, section 3.2; RISC-V calling convention; AAPCS64, section 6.
#: Kernel: ASM_UD2 in arch/x86/include/asm/bug.h, __BUG_INSN in arch/riscv/include/asm/bug.h, BUG_BRK_IMM in
#: arch/arm64/include/asm/brk-imm.h, get_current() in arch/arm64/include/asm/current.h, v6.12.
CONVENTIONS = {
    "EM_X86_64": CallingConvention(
        ("RDI", "RSI", "RDX", "RCX"),
        "RAX",
        "RIP",
        "RSP",
        b"\xc3",
        per_cpu="GS_BASE",
        bugs=((b"\x0f\x0b", "ud2"), (b"\xcc", "int3")),
    ),
    "EM_AARCH64": CallingConvention(
        ("X0", "X1", "X2", "X3"),
        "X0",
        "PC",
        "SP",
        b"\xc0\x03\x5f\xd6",
        link="X30",
        current="SP_EL0",
        bugs=((b"\x00\x00\x21\xd4", "brk #0x800"),),
    ),
    "EM_RISCV": CallingConvention(
        ("A0", "A1", "A2", "A3"),
        "A0",
        "PC",
        "SP",
        b"\x82\x80",
        link="RA",
        current="TP",
        bugs=((b"\x73\x00\x10\x00", "ebreak"), (b"\x02\x90", "c.ebreak")),
    ),
}


def convention_of(machine: str) -> CallingConvention:
    """The convention of an ELF machine; raises KernelImageError for one whose kernels cannot be run yet."""
    found = CONVENTIONS.get(machine)
    if found is None:
        raise KernelImageError(
            f"the code of {machine} kernels cannot be run yet",
            rule=f"hvolab runs {', '.join(CONVENTIONS)}",
            hint="its image can be read: hvolab image, hvolab disasm",
        )
    return found
