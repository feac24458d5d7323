# SPDX-License-Identifier: GPL-2.0-only
"""A disassembler reads each instruction sequence as its text says, and each keeps its step's contract."""

from __future__ import annotations

import pytest

from hvolab.arch import STEP_BY_NAME, EmulationPart, InstructionSequence
from hvolab.plugin import registry

capstone = pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[emulation]'")
pytestmark = pytest.mark.emulator
PARTS = {
    name: architecture.emulation
    for name, architecture in registry().architectures().items()
    if architecture.emulation is not None and name in {"x86_64", "arm64", "riscv"}
}


def test_the_three_architectures_can_be_emulated() -> None:
    assert set(PARTS) == {"x86_64", "arm64", "riscv"}


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        pytest.param(name, sequence, id=f"{name}-{sequence.step}")
        for name, part in PARTS.items()
        for sequence in part.sequences
    ],
)
def test_the_bytes_are_the_text(name: str, sequence: InstructionSequence) -> None:
    architecture, mode = (getattr(capstone, constant) for constant in PARTS[name].disassembler)
    code = sequence.machine_code
    instructions = list(capstone.Cs(architecture, mode).disasm(code, 0))
    assert sum(instruction.size for instruction in instructions) == len(code)
    told = "; ".join(f"{instruction.mnemonic} {instruction.op_str}".rstrip() for instruction in instructions)
    assert told == sequence.text


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_every_step_is_there_and_keeps_its_contract(part: EmulationPart) -> None:
    part.check()
    assert {sequence.step for sequence in part.sequences} == set(STEP_BY_NAME)
