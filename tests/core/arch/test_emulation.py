"""The emulation part of a description: sequences that are there, and sequences that cannot be."""

from __future__ import annotations

import pytest

from hvolab.arch import EmulationPart, InstructionSequence
from hvolab.errors import DescriptionError

LOAD = InstructionSequence("load", "ld a0, (a1)", "0102 fe", (("a1", "VA"),), "a0 holds the word")


def test_a_sequence_is_found_by_its_step() -> None:
    part = EmulationPart(("ARCH", "MODE"), (LOAD, InstructionSequence("store", "sd", "ff")))
    part.check()
    assert part.sequence("load") is LOAD
    assert LOAD.machine_code == b"\x01\x02\xfe"
    assert part.sequence("flush_all") is None


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (InstructionSequence("load", "ld", "0g"), "the code of load is not hex"),
        (InstructionSequence("load", "ld", ""), "load has no bytes or no text"),
        (InstructionSequence("load", "", "00"), "load has no bytes or no text"),
    ],
)
def test_a_sequence_without_text_or_code_is_a_wrong_description(sequence: InstructionSequence, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        EmulationPart(("ARCH", "MODE"), (sequence,)).check()


def test_two_sequences_of_one_step_are_a_wrong_description() -> None:
    with pytest.raises(DescriptionError, match="load is declared twice"):
        EmulationPart(("ARCH", "MODE"), (LOAD, LOAD)).check()
