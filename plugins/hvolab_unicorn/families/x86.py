"""x86_64 in unicorn: CR2, error code and vector of the last exception are fields of the state.

The first is a register too, which takes longer to read. The emulator does not clear the vector: it takes a second page
fault for a double fault, and stops at the third without an error. After a fault, a clean state is restored, or
`old_exception` is cleared where the exception is delivered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from hvolab.arch import FieldValues
from hvolab_unicorn.emulator.library import constants
from hvolab_unicorn.families.family import StateField
from hvolab_unicorn.guest.area import Area
from hvolab_unicorn.guest.text import HANDLER

_PAGE_FAULT, _NO_EXCEPTION = 14, 0xFFFFFFFF
_CODE_SELECTOR, _DATA_SELECTOR = 0x10, 0x18
#: Flat 64-bit code, and data, of privilege 0: Intel SDM 3A, section 3.4.5.
_CODE, _DATA = 0x00AF9B000000FFFF, 0x00CF93000000FFFF
_INTERRUPT_GATE, _IF = 0x8E00, 1 << 9
_GDT, _IDT, _GATE_BYTES = 0, 0x100, 16


class X86:
    """x86_64 family."""

    prefix = "UC_X86_REG_"
    fields: tuple[StateField, ...] = (
        StateField("error_code", 4, "error_code"),
        StateField("cr2", 8, "cr2"),
        StateField("old_exception", 4, clean=_NO_EXCEPTION, faulted=_PAGE_FAULT),
    )
    page_faults = frozenset({_PAGE_FAULT})
    address_register = "cr2"
    counter_offset = 0
    sets_page_size = False
    general = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)))

    def syndrome(self, uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
        """Return vector, error code and CR2."""
        del uc
        return (("vector", number), ("error_code", state["error_code"]), ("cr2", state["cr2"]))

    def prepare(self, uc: Any, area: Area) -> None:
        """Set up segments, and an IDT whose gate 14 leads to the handler. Intel SDM 3A, sections 3.4 and 6.14."""
        x86 = constants("UC_ARCH_X86")
        handler = area.text_va + HANDLER
        gate = (handler & 0xFFFF) | _CODE_SELECTOR << 16 | _INTERRUPT_GATE << 32 | (handler >> 16 & 0xFFFF) << 48
        area.write(area.tables + _GDT, struct.pack("<4Q", 0, 0, _CODE, _DATA))
        area.write(area.tables + _IDT + _PAGE_FAULT * _GATE_BYTES, struct.pack("<2Q", gate, handler >> 32))
        uc.reg_write(x86.UC_X86_REG_GDTR, (0, area.tables + _GDT, 4 * 8 - 1, 0))
        uc.reg_write(x86.UC_X86_REG_IDTR, (0, area.tables + _IDT, (_PAGE_FAULT + 1) * _GATE_BYTES - 1, 0))
        uc.reg_write(x86.UC_X86_REG_CS, _CODE_SELECTOR)
        uc.reg_write(x86.UC_X86_REG_SS, _DATA_SELECTOR)
        uc.reg_write(x86.UC_X86_REG_RSP, area.stack)

    def enter(self, uc: Any, number: int, state: Mapping[str, int], area: Area) -> None:
        """Push SS, RSP, RFLAGS, CS, RIP and the error code, go to the gate's offset. Intel SDM 3A, section 6.14.2."""
        x86 = constants("UC_ARCH_X86")
        names = ("RIP", "CS", "EFLAGS", "RSP", "SS")
        rip, cs, flags, rsp, ss = (uc.reg_read(getattr(x86, f"UC_X86_REG_{name}")) for name in names)
        frame = (rsp & ~15) - 48
        area.write(frame, struct.pack("<6Q", state["error_code"], rip, cs, flags, rsp, ss))
        _, idt, _, _ = uc.reg_read(x86.UC_X86_REG_IDTR)
        low, high = struct.unpack("<2Q", area.view(idt + number * _GATE_BYTES, _GATE_BYTES))
        uc.reg_write(x86.UC_X86_REG_RSP, frame)
        uc.reg_write(x86.UC_X86_REG_EFLAGS, flags & ~_IF)
        uc.reg_write(x86.UC_X86_REG_RIP, (low & 0xFFFF) | (low >> 48) << 16 | high << 32)
