# SPDX-License-Identifier: GPL-2.0-only
"""Reports of a CPU: registers, and the routine with an arrow at the next instruction."""

from __future__ import annotations

import sys

import pytest

from hvolab_unicorn.cpu.reports import describe, disassembled
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, lab


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_next_instruction_is_marked(architecture: str) -> None:
    vcpu = lab(architecture).cpu.vcpu
    routine = vcpu.routines["load"]
    text = describe(vcpu.part, routine, {vcpu.part.convention.counter: routine.begin})
    registers, _, instructions = text.partition("; ")
    assert registers == f"{vcpu.part.convention.counter}={routine.begin:#x}"
    assert instructions.startswith(f"-> {routine.begin:#x} ")
    assert text.count("->") == 1


def test_code_is_disassembled_at_its_address() -> None:
    assert disassembled(("CS_ARCH_X86", "CS_MODE_64"), bytes.fromhex("90c3"), 0x1000) == [
        (0x1000, "nop"),
        (0x1001, "ret"),
    ]


def test_without_a_disassembler_the_bytes_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    assert disassembled(("CS_ARCH_X86", "CS_MODE_64"), b"\x90") == []
    vcpu = lab("x86_64").cpu.vcpu
    text = describe(vcpu.part, vcpu.routines["load"], {vcpu.part.convention.counter: 0})
    assert f"at {vcpu.routines['load'].begin:#x} (pip install 'hvolab[emulation]' to see its text)" in text
