# SPDX-License-Identifier: GPL-2.0-only
"""Layout of the guest's text: the exception handler, and one routine for each step."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch import Access, EmulationPart, InstructionSequence
from hvolab.arithmetic import round_up
from hvolab.errors import DescriptionError

#: Offset of the exception handler: arm64 enters it there from VBAR_EL1, the others take any.
HANDLER = 0x200
#: Offset of the instruction that waits, with which every routine ends. Stopping before an instruction instead makes
#: the emulator translate that place each time.
EXIT = 0x100
_FIRST = 0x400
_ALIGNMENT = 16

_READ, _WRITE, _BOTH = (Access.READ,), (Access.WRITE,), (Access.READ, Access.WRITE)
_EXCHANGE = (Access.ATOMIC, *_BOTH)
#: Accesses of a step to the VAs in its arguments, in the order in which it makes them; of the others: `_BOTH`.
_ACCESSES = {
    "load": _READ,
    "store": _WRITE,
    "touch": (Access.ATOMIC, Access.WRITE, Access.READ),
    "compare_and_swap": _EXCHANGE,
    "exchange_entry": _EXCHANGE,
    "write_entry": _WRITE,
    "write_entry_rows": _WRITE,
    "load_words": _READ,
    "store_words": _WRITE,
    "load_chain": _READ,
    "jump": (Access.EXECUTE,),
}


@dataclass(frozen=True)
class Routine:
    """One step in the guest's text.

    sequence      its instructions
    begin         VA of its first instruction
    accesses      accesses that may fault
    instructions  instructions in it
    """

    sequence: InstructionSequence
    begin: int
    accesses: tuple[Access, ...]
    instructions: int


def lay_out(part: EmulationPart, text_va: int, room: int) -> tuple[bytes, dict[str, Routine]]:
    """Return the text for `text_va`, and its routines by step.

    A routine is `enter`, which loads the arguments, the step's own sequence, and `leave`, which stores the result.
    Raises DescriptionError for a text of more than `room` bytes.
    """
    code = {sequence.step: sequence.machine_code for sequence in part.sequences}
    length = {sequence.step: len(sequence.text.split("; ")) for sequence in part.sequences}
    text = bytearray(HANDLER) + code["handler"]
    text[EXIT : EXIT + len(code["wait"])] = code["wait"]
    if len(text) > _FIRST:
        raise DescriptionError(f"the handler has {len(code['handler'])} bytes", rule=f"at most {_FIRST - HANDLER}")
    text += bytes(_FIRST - len(text))
    routines = {}
    for sequence in part.sequences:
        step = sequence.step
        if step in {"enter", "leave", "wait", "handler"}:
            continue
        begin = len(text)
        text += code["enter"] + code[step] + (b"" if step == "jump" else code["leave"])
        instructions = length["enter"] + length[step]
        routines[step] = Routine(sequence, text_va + begin, _ACCESSES.get(step, _BOTH), instructions)
        text += bytes(round_up(len(text), _ALIGNMENT) - len(text))
    if len(text) > room:
        raise DescriptionError(f"instruction sequences of {len(text)} bytes", rule=f"guest text has {room}")
    return bytes(text), routines
