"""riscv in unicorn: the interrupt's number is scause, the address a field of the state; the PC is 4 too far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvolab.arch import FieldValues
from hvolab_unicorn.emulator.library import constants
from hvolab_unicorn.families.family import StateField
from hvolab_unicorn.guest.area import Area
from hvolab_unicorn.guest.text import HANDLER

#: Instruction, load and store/AMO page faults, and access faults likewise. Privileged specification, scause.
_PAGE_FAULTS, _ACCESS_FAULTS = {12, 13, 15}, {1, 5, 7}
#: The emulator's PC at a fault is so far behind the instruction, also for one of 16 bits.
_BEYOND = 4
_SIE, _SPIE, _SPP = 1 << 1, 1 << 5, 1 << 8
_SUPERVISOR, _DIRECT = 1, ~3


class Riscv:
    """riscv family."""

    prefix = "UC_RISCV_REG_"
    fields: tuple[StateField, ...] = (StateField("badaddr", 8, "stval"),)
    page_faults = frozenset(_PAGE_FAULTS | _ACCESS_FAULTS)
    address_register = "stval"
    counter_offset = _BEYOND
    sets_page_size = False
    general = (
        *("ra", "sp", "gp", "tp"),
        *(f"{kind}{number}" for kind, count in (("a", 8), ("t", 7), ("s", 12)) for number in range(count)),
    )

    def syndrome(self, uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
        """Return scause, stval and sepc."""
        pc = uc.reg_read(constants("UC_ARCH_RISCV").UC_RISCV_REG_PC)
        return (("scause", number), ("stval", state["badaddr"]), ("sepc", pc - _BEYOND))

    def prepare(self, uc: Any, area: Area) -> None:
        """Set stvec and the stack pointer."""
        riscv = constants("UC_ARCH_RISCV")
        uc.reg_write(riscv.UC_RISCV_REG_STVEC, area.text_va + HANDLER)
        uc.reg_write(riscv.UC_RISCV_REG_SP, area.stack)

    def enter(self, uc: Any, number: int, state: Mapping[str, int], area: Area) -> None:
        """Report in scause and stval, save PC and status, go to stvec. Privileged specification, section 3.1.6.1."""
        del area
        riscv = constants("UC_ARCH_RISCV")
        status = uc.reg_read(riscv.UC_RISCV_REG_SSTATUS)
        enabled = _SPIE if status & _SIE else 0
        uc.reg_write(riscv.UC_RISCV_REG_SCAUSE, number)
        uc.reg_write(riscv.UC_RISCV_REG_STVAL, state["badaddr"])
        uc.reg_write(riscv.UC_RISCV_REG_SEPC, uc.reg_read(riscv.UC_RISCV_REG_PC) - _BEYOND)
        uc.reg_write(riscv.UC_RISCV_REG_SSTATUS, (status & ~(_SIE | _SPIE)) | _SPP | enabled)
        uc.reg_write(riscv.UC_RISCV_REG_PRIV, _SUPERVISOR)
        uc.reg_write(riscv.UC_RISCV_REG_PC, uc.reg_read(riscv.UC_RISCV_REG_STVEC) & _DIRECT)
