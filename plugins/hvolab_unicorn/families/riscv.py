# SPDX-License-Identifier: GPL-2.0-only
"""riscv in unicorn: the interrupt's number is scause, the address a field of the state; the PC is 4 too far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvolab.arch import FieldValues
from hvolab_unicorn.families.family import Family, StateField
from hvolab_unicorn.guest.area import Area
from hvolab_unicorn.guest.text import HANDLER

#: Instruction, load and store/AMO page faults, access faults likewise, and addresses of loads and stores that are not
#: aligned. Privileged specification, scause.
_PAGE_FAULTS, _ACCESS_FAULTS, _MISALIGNED = {12, 13, 15}, {1, 5, 7}, {4, 6}
#: The emulator's PC at a fault is so far behind the instruction, also for one of 16 bits.
_BEYOND = 4
_SIE, _SPIE, _SPP = 1 << 1, 1 << 5, 1 << 8
_SUPERVISOR, _DIRECT = 1, ~3


def _syndrome(uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
    return (("scause", number), ("stval", state["badaddr"]), ("sepc", RISCV.read(uc, "pc") - _BEYOND))


def _prepare(uc: Any, area: Area) -> None:
    RISCV.write(uc, stvec=area.text_va + HANDLER, sp=area.stack)


def _enter(uc: Any, number: int, state: Mapping[str, int], _area: Area) -> None:
    """Report in scause and stval, save PC and status, go to stvec. Privileged specification, section 3.1.6.1."""
    status = RISCV.read(uc, "sstatus")
    enabled = _SPIE if status & _SIE else 0
    RISCV.write(uc, **dict(_syndrome(uc, number, state)))
    RISCV.write(uc, sstatus=(status & ~(_SIE | _SPIE)) | _SPP | enabled, priv=_SUPERVISOR)
    RISCV.write(uc, pc=RISCV.read(uc, "stvec") & _DIRECT)


RISCV = Family(
    architecture="UC_ARCH_RISCV",
    general=(
        *("ra", "sp", "gp", "tp"),
        *(f"{kind}{number}" for kind, count in (("a", 8), ("t", 7), ("s", 12)) for number in range(count)),
    ),
    fields=(StateField("badaddr", 8, "stval"),),
    page_faults=frozenset(_PAGE_FAULTS | _ACCESS_FAULTS | _MISALIGNED),
    address_register="stval",
    syndrome=_syndrome,
    prepare=_prepare,
    enter=_enter,
    counter_offset=_BEYOND,
)
