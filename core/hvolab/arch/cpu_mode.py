# SPDX-License-Identifier: GPL-2.0-only
"""States of a CPU's control registers."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch.entry import EntryRule, Match, set_bits
from hvolab.overrides import Overrides


@dataclass(frozen=True)
class RegisterSetting:
    """The value of a CPU register before the first instruction.

    name   constant of the emulator without its prefix (``CR3``), ``msr`` or ``cp_reg``
    value  value of the register
    at     number of the MSR; op0, op1, CRn, CRm, op2 of the system register
    """

    name: str
    value: int
    at: tuple[int, ...] = ()


@dataclass(frozen=True)
class CpuMode:
    """A state of the CPU's control registers that the kernel does not use, with other walk permissions.

    name, summary  its name, and one line
    settings       registers that are set after those of the kernel
    mmu            overrides of MmuRules
    clears         fields that every pgprot loses, because they are reserved then
    reserves       bits of every entry that are reserved then
    source         manual section
    """

    name: str
    summary: str
    settings: tuple[RegisterSetting, ...] = ()
    mmu: Overrides = ()
    clears: tuple[str, ...] = ()
    reserves: int = 0
    source: str = ""

    @property
    def rules(self) -> tuple[EntryRule, ...]:
        """The rules that reserve the bits."""
        text = f"bits {self.reserves:#x} are reserved: {self.summary}"
        return tuple(EntryRule(Match(1 << bit, 1 << bit), text, self.source) for bit in set_bits(self.reserves))
