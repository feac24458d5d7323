"""The optional emulation part of a description: the architecture's own instructions for what HVO does."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.errors import DescriptionError


@dataclass(frozen=True)
class InstructionSequence:
    """One step as machine code.

    step      what it does: ``write_entry``, ``flush_page``, ``flush_all``, ``load``, ``store`` …
    assembly  its text, instructions separated by ``; ``, as a disassembler prints them
    code      the bytes, in hex
    inputs    registers that it reads, with what they hold
    effect    what it changes, in a few words
    """

    step: str
    assembly: str
    code: str
    inputs: tuple[tuple[str, str], ...] = ()
    effect: str = ""

    @property
    def machine_code(self) -> bytes:
        """The bytes themselves."""
        return bytes.fromhex(self.code)


@dataclass(frozen=True)
class EmulationPart:
    """What an emulator needs to carry out the steps on a guest CPU.

    disassembler  (capstone architecture, capstone mode), by the names of capstone's constants
    sequences     one for each step
    """

    disassembler: tuple[str, str]
    sequences: tuple[InstructionSequence, ...]

    def sequence(self, step: str) -> InstructionSequence | None:
        """The sequence of that step, if it is declared."""
        return next((sequence for sequence in self.sequences if sequence.step == step), None)

    def check(self) -> None:
        """Raise DescriptionError for a sequence without text or bytes, or two of one step."""
        steps = [sequence.step for sequence in self.sequences]
        for sequence in self.sequences:
            try:
                code = sequence.machine_code
            except ValueError as error:
                raise DescriptionError(f"the code of {sequence.step} is not hex: {error}") from error
            if not code or not sequence.assembly:
                raise DescriptionError(f"the sequence {sequence.step} has no bytes or no text")
            if steps.count(sequence.step) > 1:
                raise DescriptionError(f"the sequence {sequence.step} is declared twice")
