"""x86_64: a disassembler reads each instruction sequence as its text says."""

from __future__ import annotations

import pytest

from hvolab.arch import InstructionSequence
from hvolab_x86_64.instructions import EMULATION

capstone = pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[emulation]'")


@pytest.mark.parametrize("sequence", EMULATION.sequences, ids=lambda sequence: sequence.step)
def test_the_bytes_are_the_text(sequence: InstructionSequence) -> None:
    architecture, mode = (getattr(capstone, name) for name in EMULATION.disassembler)
    code = sequence.machine_code
    instructions = list(capstone.Cs(architecture, mode).disasm(code, 0))
    assert sum(instruction.size for instruction in instructions) == len(code)
    told = "; ".join(f"{instruction.mnemonic} {instruction.op_str}".rstrip() for instruction in instructions)
    assert told == sequence.assembly


def test_every_step_of_a_cpu_has_a_sequence() -> None:
    steps = {sequence.step for sequence in EMULATION.sequences}
    assert steps >= {
        "write_entry",
        "exchange_entry",
        "flush_page",
        "flush_all",
        "barrier",
        "load",
        "store",
        "compare_and_swap",
        "copy_page",
    }
