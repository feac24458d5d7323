"""The guest's text: each step between taking its arguments and leaving its result, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch import Access, EmulationPart, InstructionSequence
from hvolab.errors import DescriptionError

#: Offset of the exception handler: where arm64 enters it from VBAR_EL1; the others take any.
HANDLER = 0x200
#: Offset at which every routine ends, by waiting. To be stopped before an instruction costs the emulator more: it
#: makes code for that place each time.
EXIT = 0x100
_FIRST = 0x400
_ALIGNMENT = 16

_READ, _WRITE = (Access.READ,), (Access.WRITE,)
_BOTH = (Access.READ, Access.WRITE)
#: Accesses that a step makes to what it is asked about, in the order in which it makes them.
_ACCESSES = {
    "load": _READ,
    "store": _WRITE,
    "touch": (Access.ATOMIC, Access.WRITE, Access.READ),
    "compare_and_swap": (Access.ATOMIC, Access.READ, Access.WRITE),
    "exchange_entry": (Access.ATOMIC, Access.READ, Access.WRITE),
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

    sequence  its instructions
    begin     VA of its first instruction
    size      bytes of it
    accesses  what it may fault with
    instructions  instructions in it
    """

    sequence: InstructionSequence
    begin: int
    size: int
    accesses: tuple[Access, ...]
    instructions: int


def lay_out(part: EmulationPart, text_va: int, room: int) -> tuple[bytes, dict[str, Routine]]:
    """The bytes of the text at ``text_va``, and its routines by step; raises DescriptionError beyond ``room`` bytes."""
    code = {sequence.step: sequence.machine_code for sequence in part.sequences}
    length = {sequence.step: len(sequence.text.split("; ")) for sequence in part.sequences}
    text = bytearray(HANDLER) + code["handler"]
    text[EXIT : EXIT + len(code["wait"])] = code["wait"]
    if len(text) > _FIRST:
        raise DescriptionError(f"the handler has {len(code['handler'])} bytes", rule=f"at most {_FIRST - HANDLER}")
    text += bytes(_FIRST - len(text))
    routines = {}
    for sequence in part.sequences:
        if sequence.step in {"enter", "leave", "wait", "handler"}:
            continue
        begin = len(text)
        text += code["enter"] + code[sequence.step]
        if sequence.step != "jump":
            text += code["leave"]
        routines[sequence.step] = Routine(
            sequence,
            text_va + begin,
            len(text) - begin,
            _ACCESSES.get(sequence.step, _BOTH),
            length["enter"] + length[sequence.step],
        )
        text += bytes(-len(text) % _ALIGNMENT)
    if len(text) > room:
        raise DescriptionError(f"instruction sequences of {len(text)} bytes", rule=f"guest text has {room}")
    return bytes(text), routines
