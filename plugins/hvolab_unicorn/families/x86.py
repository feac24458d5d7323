# SPDX-License-Identifier: GPL-2.0-only
"""x86_64 in unicorn: CR2, error code and vector of the last exception are fields of the state.

The first is a register too, which takes longer to read. The emulator does not clear the vector: it takes a second page
fault for a double fault, and stops at the third without an error. After a fault, a clean state is restored, or
`old_exception` is cleared where the exception is delivered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from hvolab_unicorn.families.family import Family, StateField
from hvolab_unicorn.guest.area import Area
from hvolab_unicorn.guest.text import HANDLER

_PAGE_FAULT, _NO_EXCEPTION = 14, 0xFFFFFFFF
_CODE_SELECTOR, _DATA_SELECTOR = 0x10, 0x18
#: Flat 64-bit code, and data, of privilege 0: Intel SDM 3A, section 3.4.5.
_CODE, _DATA = 0x00AF9B000000FFFF, 0x00CF93000000FFFF
_INTERRUPT_GATE, _IF = 0x8E00, 1 << 9
_GDT, _IDT, _GATE_BYTES = 0, 0x100, 16


def _prepare(uc: Any, area: Area) -> None:
    """Set up segments, and an IDT whose gate 14 leads to the handler. Intel SDM 3A, sections 3.4 and 6.14."""
    handler = area.text_va + HANDLER
    gate = (handler & 0xFFFF) | _CODE_SELECTOR << 16 | _INTERRUPT_GATE << 32 | (handler >> 16 & 0xFFFF) << 48
    gdt, idt = area.tables + _GDT, area.tables + _IDT
    area.write(gdt, struct.pack("<4Q", 0, 0, _CODE, _DATA))
    area.write(idt + _PAGE_FAULT * _GATE_BYTES, struct.pack("<2Q", gate, handler >> 32))
    X86.write(uc, gdtr=(0, gdt, 4 * 8 - 1, 0), idtr=(0, idt, (_PAGE_FAULT + 1) * _GATE_BYTES - 1, 0))
    X86.write(uc, cs=_CODE_SELECTOR, ss=_DATA_SELECTOR, rsp=area.stack)


def _enter(uc: Any, number: int, state: Mapping[str, int], area: Area) -> None:
    """Push SS, RSP, RFLAGS, CS, RIP and the error code, go to the gate's offset. Intel SDM 3A, section 6.14.2."""
    rip, cs, flags, rsp, ss = (X86.read(uc, name) for name in ("rip", "cs", "eflags", "rsp", "ss"))
    frame = (rsp & ~15) - 48
    area.write(frame, struct.pack("<6Q", state["error_code"], rip, cs, flags, rsp, ss))
    _, idt, _, _ = X86.read(uc, "idtr")
    low, high = struct.unpack("<2Q", area.view(idt + number * _GATE_BYTES, _GATE_BYTES))
    X86.write(uc, rsp=frame, eflags=flags & ~_IF, rip=(low & 0xFFFF) | (low >> 48) << 16 | high << 32)


X86 = Family(
    architecture="UC_ARCH_X86",
    general=("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16))),
    fields=(
        StateField("error_code", 4, "error_code"),
        StateField("cr2", 8, "cr2"),
        StateField("old_exception", 4, clean=_NO_EXCEPTION, faulted=_PAGE_FAULT),
    ),
    page_faults=frozenset({_PAGE_FAULT}),
    address_register="cr2",
    syndrome=lambda _, number, state: (("vector", number), ("error_code", state["error_code"]), ("cr2", state["cr2"])),
    prepare=_prepare,
    enter=_enter,
)
