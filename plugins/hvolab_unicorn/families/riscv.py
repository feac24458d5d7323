"""riscv in unicorn: the interrupt's number is scause, the address a field of the state; the PC is 4 too far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvolab.arch.fields import FieldValues
from hvolab_unicorn.emulator.library import constants
from hvolab_unicorn.families.family import GuestBytes, GuestLayout, StateField
from hvolab_unicorn.guest.text import HANDLER

#: Instruction, load and store/AMO page faults, and access faults likewise. Privileged specification, scause.
_PAGE_FAULTS, _ACCESS_FAULTS = {12, 13, 15}, {1, 5, 7}
#: Where the emulator's PC stands when it reports a fault, counted from the instruction: also for 16-bit ones.
_BEYOND = 4
_SIE, _SPIE, _SPP = 1 << 1, 1 << 5, 1 << 8
_SUPERVISOR, _DIRECT = 1, ~3


class Riscv:
    """The family."""

    prefix = "UC_RISCV_REG_"
    fields: tuple[StateField, ...] = (StateField("badaddr", 8, tells="stval"),)
    page_faults = frozenset(_PAGE_FAULTS | _ACCESS_FAULTS)
    sets_page_size = False
    general = (
        *("ra", "sp", "gp", "tp"),
        *(f"{kind}{number}" for kind, count in (("a", 8), ("t", 7), ("s", 12)) for number in range(count)),
    )

    def syndrome(self, uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
        """Scause, stval and sepc."""
        pc = uc.reg_read(constants("UC_ARCH_RISCV").UC_RISCV_REG_PC)
        return (("scause", number), ("stval", state["badaddr"]), ("sepc", pc - _BEYOND))

    def address(self, syndrome: FieldValues) -> int:
        """Stval."""
        return dict(syndrome)["stval"]

    def retry(self, uc: Any) -> None:
        """Go back to it."""
        pc = constants("UC_ARCH_RISCV").UC_RISCV_REG_PC
        uc.reg_write(pc, uc.reg_read(pc) - _BEYOND)

    def prepare(self, uc: Any, layout: GuestLayout, memory: GuestBytes) -> None:
        """Stvec and a stack."""
        del memory
        riscv = constants("UC_ARCH_RISCV")
        uc.reg_write(riscv.UC_RISCV_REG_STVEC, layout.text + HANDLER)
        uc.reg_write(riscv.UC_RISCV_REG_SP, layout.stack)

    def enter(self, uc: Any, number: int, state: Mapping[str, int], memory: GuestBytes) -> None:
        """Report in scause and stval, save PC and status, go to stvec. Privileged specification, section 3.1.6.1."""
        del memory
        riscv = constants("UC_ARCH_RISCV")
        status = uc.reg_read(riscv.UC_RISCV_REG_SSTATUS)
        enabled = _SPIE if status & _SIE else 0
        uc.reg_write(riscv.UC_RISCV_REG_SCAUSE, number)
        uc.reg_write(riscv.UC_RISCV_REG_STVAL, state["badaddr"])
        uc.reg_write(riscv.UC_RISCV_REG_SEPC, uc.reg_read(riscv.UC_RISCV_REG_PC) - _BEYOND)
        uc.reg_write(riscv.UC_RISCV_REG_SSTATUS, (status & ~(_SIE | _SPIE)) | _SPP | enabled)
        uc.reg_write(riscv.UC_RISCV_REG_PRIV, _SUPERVISOR)
        uc.reg_write(riscv.UC_RISCV_REG_PC, uc.reg_read(riscv.UC_RISCV_REG_STVEC) & _DIRECT)
