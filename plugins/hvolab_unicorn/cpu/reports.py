# SPDX-License-Identifier: GPL-2.0-only
"""Registers and instructions of an emulated CPU in words, for messages."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from hvolab.arch import EmulationPart
from hvolab_unicorn.emulator.library import HINT
from hvolab_unicorn.guest.text import Routine


def describe(part: EmulationPart, routine: Routine, registers: Mapping[str, int]) -> str:
    """Return the registers, and the routine's instructions with an arrow at the next one."""
    values = " ".join(f"{name}={value:#x}" for name, value in registers.items())
    code = {sequence.step: sequence.machine_code for sequence in part.sequences}
    whole = code["enter"] + routine.sequence.machine_code + code["leave"]
    lines = disassembled(part.disassembler, whole, routine.begin)
    if not lines:
        return f"{values}; code {whole.hex()} at {routine.begin:#x} ({HINT} to see its text)"
    counter = registers[part.convention.counter]
    marked = (f"{'-> ' if address == counter else ''}{address:#x} {text}" for address, text in lines)
    return f"{values}; {'; '.join(marked)}"


def disassembled(disassembler: tuple[str, str], code: bytes, at: int = 0) -> list[tuple[int, str]]:
    """Return address and text of each instruction of `code` at address `at`; none without capstone."""
    try:
        capstone = importlib.import_module("capstone")
    except ImportError:
        return []
    architecture, mode = (
        sum(getattr(capstone, constant) for constant in names.replace(" ", "").split("|")) for names in disassembler
    )
    return [
        (each.address, f"{each.mnemonic} {each.op_str}".rstrip())
        for each in capstone.Cs(architecture, mode).disasm(code, at)
    ]
