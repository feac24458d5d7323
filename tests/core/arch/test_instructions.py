# SPDX-License-Identifier: GPL-2.0-only
"""Instruction sequences in files: read as they are meant, and refused with file and step where they are wrong."""

from __future__ import annotations

import pytest

from hvolab.arch import load_emulation_part
from hvolab.arch.instructions import parse_emulation_part
from hvolab.errors import DescriptionError
from tests.parts import as_toml, part, registers

TEXT = as_toml(part())


def test_a_file_says_what_the_part_has() -> None:
    assert parse_emulation_part(TEXT, "here", registers=registers) == part()


def test_code_may_be_broken_into_lines() -> None:
    broken = TEXT.replace('code = "00"', 'code = """\n00\n  """', 1)
    assert parse_emulation_part(broken, "here", registers=registers) == part()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[convention]", "[convention", "are not TOML: .*; where: here"),
        (
            "[convention]",
            "[conventions]",
            "'conventions' is not a known key; where: here; hint: did you mean 'convention'",
        ),
        (
            "disassembler = ['ARCH', 'MODE']",
            "disassembler = ['ARCH']",
            "EmulationPart.disassembler is .* \\(tuple\\); where: here",
        ),
        ("disassembler = ['ARCH', 'MODE']", "", "the key disassembler is missing"),
        ('block = "b"', "block = 1", "Convention.block is 1 .int.; where: here, convention; hint: give str"),
        ("[steps.load]", "[steps.load]\nclobber = []", "'clobber' is not a known key; where: here, steps.load"),
        ('text = "do load"', "", "the key text is missing; where: here, steps.load"),
        ('inputs = { va = "a0" }', "inputs = { va = 1 }", "InstructionSequence.inputs is .*; where: here, steps.load"),
        ("[steps.load]", "[steps.lode]", "no step is called 'lode'; where: here"),
        ('effect = "r = [a0]"', 'effect = "r = a0"', "the effect of load is 'value = va'; where: here"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(DescriptionError, match=message):
        parse_emulation_part(TEXT.replace(old, new, 1), "here", registers=registers)


def test_a_file_that_is_not_shipped_is_missed() -> None:
    with pytest.raises(DescriptionError, match=r"cannot be read: .*; where: hvolab_x86_64/sequences\.toml"):
        load_emulation_part("hvolab_x86_64", "sequences.toml", registers=registers)
