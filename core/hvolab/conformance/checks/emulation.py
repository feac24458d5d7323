"""The emulation part: every sequence is the instructions that its text says, and every step of a CPU has one."""

from __future__ import annotations

from hvolab.arch import EmulationPart
from hvolab.conformance.capabilities import DISASSEMBLER, EMULATION
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import DescriptionError

checks = Checks()
#: What an emulated CPU carries out by instructions: the methods of Cpu.
_STEPS = (
    *("write_entry", "exchange_entry", "flush_page", "flush_all", "barrier"),
    *("load", "store", "compare_and_swap", "copy_page"),
)


def _part(subject: Subject) -> EmulationPart:
    part = subject.architecture.emulation
    if part is None:
        raise DescriptionError("no emulation part", where=subject.architecture.name)
    return part


@checks.add(Scope.ARCHITECTURE, EMULATION)
def every_step_has_a_sequence(subject: Subject) -> None:
    """Each step of a CPU is declared, once, with bytes and text."""
    part = _part(subject)
    part.check()
    missing = [step for step in _STEPS if part.sequence(step) is None]
    require(not missing, f"no sequence for {', '.join(missing)}", where=subject)


@checks.add(Scope.ARCHITECTURE, EMULATION, DISASSEMBLER)
def every_sequence_is_its_text(subject: Subject) -> None:
    """A disassembler reads the bytes of each sequence as the text beside them."""
    import capstone  # noqa: PLC0415 - an optional tool, and nothing else of core needs one

    part = _part(subject)
    architecture, mode = (
        sum(getattr(capstone, constant) for constant in names.replace(" ", "").split("|"))
        for names in part.disassembler
    )
    for sequence in part.sequences:
        code = sequence.machine_code
        instructions = list(capstone.Cs(architecture, mode).disasm(code, 0))
        told = "; ".join(f"{each.mnemonic} {each.op_str}".rstrip() for each in instructions)
        read = sum(each.size for each in instructions)
        require(read == len(code), f"{sequence.step}: the bytes after {read} are no instructions", where=sequence.code)
        require(
            told == sequence.assembly,
            f"{sequence.step}: the bytes are {told!r}, the text says {sequence.assembly!r}",
            where=sequence.code,
        )
