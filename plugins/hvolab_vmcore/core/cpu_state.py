# SPDX-License-Identifier: GPL-2.0-only
"""Root table and paging mode from the registers of a CPU, where a dump has a note with them.

QEMU adds a note of its own to a dump of x86_64; its notes of arm64 and riscv have neither TTBR1 nor SATP.
Source: QEMU, struct QEMUCPUState in target/i386/arch_dump.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hvolab_vmcore.files.dump import Dump

#: Version and size; 18 registers; ten segment registers of 24 bytes, CS first; CR0 to CR4.
_HEADER: Final = struct.Struct("<2I")
_SEGMENTS: Final = _HEADER.size + 18 * 8
_CONTROL: Final = struct.Struct("<5Q")
_CONTROL_AT: Final = _SEGMENTS + 10 * 24
_VERSION: Final = 1
#: Bits of CR0, CR3 and CR4: paging; PA of the root; five levels. Intel SDM 3A, sections 2.5 and 5.5.
_PG, _ROOT, _LA57 = 1 << 31, (1 << 52) - (1 << 12), 1 << 12


@dataclass(frozen=True)
class CpuState:
    """Translation of the kernel, as a CPU had it.

    root     PA of the root table
    va_bits  bits of VA
    """

    root: int
    va_bits: int


@dataclass(frozen=True)
class CpuNote:
    """Kind of note that has the registers of a CPU.

    elf_machine  architecture
    name         owner of the note
    read         returns the state, None for a CPU that did not run the kernel, and for a note of another form
    """

    elf_machine: str
    name: str
    read: Callable[[bytes], CpuState | None]


def _x86_64(data: bytes) -> CpuState | None:
    """Read CR3; with page-table isolation, CR3 of a CPU that runs a process does not lead to the kernel's tables."""
    if len(data) < _CONTROL_AT + _CONTROL.size or _HEADER.unpack_from(data)[0] != _VERSION:
        return None
    cr0, _, _, cr3, cr4 = _CONTROL.unpack_from(data, _CONTROL_AT)
    (selector,) = struct.unpack_from("<I", data, _SEGMENTS)
    if selector & 3 or not cr0 & _PG:
        return None
    return CpuState(cr3 & _ROOT, 57 if cr4 & _LA57 else 48)


NOTES: Final = (CpuNote("EM_X86_64", "QEMU", _x86_64),)


def cpu_state_of(core: Dump, elf_machine: str) -> CpuState | None:
    """Return the state of the first CPU that ran the kernel, None where no note has one."""
    for kind in NOTES:
        states = (kind.read(note.data) for note in core.notes if note.name == kind.name)
        if kind.elf_machine == elf_machine and (found := next(filter(None, states), None)) is not None:
            return found
    return None
