# SPDX-License-Identifier: GPL-2.0-only
"""arm64 in unicorn: syndrome and fault address are fields of the state; ESR_EL1 and FAR_EL1 are never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvolab_unicorn.families.family import Family, StateField
from hvolab_unicorn.guest.area import Area

_PREFETCH_ABORT, _DATA_ABORT = 3, 4
_SPSR_EL1 = (3, 0, 4, 0, 0)
#: Offset of the vector for synchronous exceptions from the current EL with SP_ELx. Arm ARM D1.3.2.
_SYNCHRONOUS = 0x200
#: PSTATE at the handler: EL1h, interrupts masked.
_MODE, _AT_HANDLER = 0xF, 0x3C5


def _prepare(uc: Any, area: Area) -> None:
    ARM64.write(uc, vbar_el1=area.text_va, sp=area.stack)


def _enter(uc: Any, _number: int, state: Mapping[str, int], _area: Area) -> None:
    """Report in ESR_EL1 and FAR_EL1, save PC and PSTATE, go to the vector. Arm ARM, AArch64.TakeException()."""
    pstate, vectors = ARM64.read(uc, "pstate"), ARM64.read(uc, "vbar_el1")
    ARM64.write(uc, esr_el1=state["syndrome"], far_el1=state["address"], elr_el1=ARM64.read(uc, "pc"))
    uc.cpr_write(*_SPSR_EL1, pstate)
    ARM64.write(uc, pstate=(pstate & ~_MODE) | _AT_HANDLER, pc=vectors + _SYNCHRONOUS)


ARM64 = Family(
    architecture="UC_ARCH_ARM64",
    general=(*(f"x{number}" for number in range(31)), "sp"),
    fields=(StateField("syndrome", 4, "esr"), StateField("address", 8, "far")),
    page_faults=frozenset({_PREFETCH_ABORT, _DATA_ABORT}),
    address_register="far",
    syndrome=lambda _uc, _number, state: (("esr", state["syndrome"]), ("far", state["address"])),
    prepare=_prepare,
    enter=_enter,
    sets_page_size=True,
)
