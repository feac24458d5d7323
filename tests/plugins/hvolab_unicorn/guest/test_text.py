# SPDX-License-Identifier: GPL-2.0-only
"""The guest's text: handler and routines at their places, and no more of it than there is room for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import Access, EmulationPart
from hvolab.errors import DescriptionError
from hvolab.plugin import registry
from hvolab_unicorn.guest.text import EXIT, HANDLER, lay_out
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES

BASE = 0x1000_0000


def part_of(architecture: str) -> EmulationPart:
    part = registry().architecture(architecture).emulation
    assert part is not None
    return part


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_routine_takes_its_arguments_and_leaves_its_result(architecture: str) -> None:
    part = part_of(architecture)
    text, routines = lay_out(part, BASE, 1 << 14)
    code = {sequence.step: sequence.machine_code for sequence in part.sequences}
    assert text[HANDLER:].startswith(code["handler"])
    assert text[EXIT:].startswith(code["wait"])
    assert set(routines) == set(code) - {"enter", "leave", "wait", "handler"}
    for step, routine in routines.items():
        leave = b"" if step == "jump" else code["leave"]
        assert routine.begin % 16 == 0
        assert text[routine.begin - BASE :].startswith(code["enter"] + code[step] + leave)


def test_a_routine_knows_the_accesses_that_may_fault() -> None:
    _, routines = lay_out(part_of("x86_64"), BASE, 1 << 14)
    assert routines["load"].accesses == (Access.READ,)
    assert routines["jump"].accesses == (Access.EXECUTE,)
    assert routines["compare_and_swap"].accesses[0] is Access.ATOMIC
    assert routines["copy_bytes"].accesses == (Access.READ, Access.WRITE)


def test_too_long_a_handler_and_too_long_a_text_are_refused() -> None:
    part = part_of("riscv")
    with pytest.raises(DescriptionError, match="guest text has 256"):
        lay_out(part, BASE, 256)
    long = tuple(
        replace(sequence, code="13000000" * 200) if sequence.step == "handler" else sequence
        for sequence in part.sequences
    )
    with pytest.raises(DescriptionError, match="the handler has 800 bytes; rule: at most 512"):
        lay_out(replace(part, sequences=long), BASE, 1 << 14)
