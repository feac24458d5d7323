"""arm64 in unicorn: syndrome and fault address are fields of the state; ESR_EL1 and FAR_EL1 are never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvolab.arch import FieldValues
from hvolab_unicorn.emulator.library import constants
from hvolab_unicorn.families.family import StateField
from hvolab_unicorn.guest.area import Area

_PREFETCH_ABORT, _DATA_ABORT = 3, 4
_SPSR_EL1 = (3, 0, 4, 0, 0)
#: Offset of the vector for synchronous exceptions from the current EL with SP_ELx. Arm ARM D1.3.2.
_SYNCHRONOUS = 0x200
#: PSTATE at the handler: EL1h, interrupts masked.
_MODE, _AT_HANDLER = 0xF, 0x3C5


class Arm64:
    """arm64 family."""

    prefix = "UC_ARM64_REG_"
    fields: tuple[StateField, ...] = (StateField("syndrome", 4, "esr"), StateField("address", 8, "far"))
    page_faults = frozenset({_PREFETCH_ABORT, _DATA_ABORT})
    address_register = "far"
    counter_offset = 0
    sets_page_size = True
    general = (*(f"x{number}" for number in range(31)), "sp")

    def syndrome(self, uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
        """Return ESR_EL1 and FAR_EL1 as the CPU would have written them."""
        del uc, number
        return (("esr", state["syndrome"]), ("far", state["address"]))

    def prepare(self, uc: Any, area: Area) -> None:
        """Set VBAR_EL1 and the stack pointer."""
        arm64 = constants("UC_ARCH_ARM64")
        uc.reg_write(arm64.UC_ARM64_REG_VBAR_EL1, area.text_va)
        uc.reg_write(arm64.UC_ARM64_REG_SP, area.stack)

    def enter(self, uc: Any, number: int, state: Mapping[str, int], area: Area) -> None:
        """Report in ESR_EL1 and FAR_EL1, save PC and PSTATE, go to the vector. Arm ARM, AArch64.TakeException()."""
        del number, area
        arm64 = constants("UC_ARCH_ARM64")
        pstate = uc.reg_read(arm64.UC_ARM64_REG_PSTATE)
        uc.reg_write(arm64.UC_ARM64_REG_ESR_EL1, state["syndrome"])
        uc.reg_write(arm64.UC_ARM64_REG_FAR_EL1, state["address"])
        uc.reg_write(arm64.UC_ARM64_REG_ELR_EL1, uc.reg_read(arm64.UC_ARM64_REG_PC))
        uc.cpr_write(*_SPSR_EL1, pstate)
        uc.reg_write(arm64.UC_ARM64_REG_PSTATE, (pstate & ~_MODE) | _AT_HANDLER)
        uc.reg_write(arm64.UC_ARM64_REG_PC, uc.reg_read(arm64.UC_ARM64_REG_VBAR_EL1) + _SYNCHRONOUS)
