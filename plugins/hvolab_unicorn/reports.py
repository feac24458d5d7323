"""What an emulated CPU was doing, for messages: the instructions of a step, and registers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from hvolab.arch import EmulationPart
from hvolab_unicorn.guest_text import Routine
from hvolab_unicorn.library import REMEDY


def describe(part: EmulationPart, routine: Routine, registers: Mapping[str, int]) -> str:
    """The registers, and the routine's instructions with the one that is next marked."""
    values = " ".join(f"{name}={value:#x}" for name, value in registers.items())
    return f"{values}; {_instructions(part, routine, registers[part.convention.counter])}"


def _instructions(part: EmulationPart, routine: Routine, counter: int) -> str:
    code = {sequence.step: sequence.machine_code for sequence in part.sequences}
    whole = code["enter"] + routine.sequence.machine_code + code["leave"]
    try:
        capstone = importlib.import_module("capstone")
    except ImportError:
        return f"code {whole.hex()} at {routine.begin:#x} ({REMEDY} to see its text)"
    architecture, mode = (
        sum(getattr(capstone, constant) for constant in names.replace(" ", "").split("|"))
        for names in part.disassembler
    )
    lines = (
        f"{'-> ' if each.address == counter else ''}{each.address:#x} {each.mnemonic} {each.op_str}".rstrip()
        for each in capstone.Cs(architecture, mode).disasm(whole, routine.begin)
    )
    return "; ".join(lines)
