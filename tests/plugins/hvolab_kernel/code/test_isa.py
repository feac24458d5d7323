# SPDX-License-Identifier: GPL-2.0-only
"""Instruction sets: the names of registers, and machines that are not known."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.isa import ISAS, full_register, isa_of
from hvolab_vmlinux.errors import KernelImageError


@pytest.mark.parametrize(
    ("name", "full"),
    [
        *(("eax", "rax"), ("ax", "rax"), ("al", "rax"), ("ah", "rax"), ("sil", "rsi"), ("r8d", "r8"), ("r15b", "r15")),
        *(
            ("w3", "x3"),
            ("wzr", "xzr"),
            ("fp", "x29"),
            ("lr", "x30"),
            ("sp", "sp"),
            ("esp", "rsp"),
            ("a0", "a0"),
            ("rdi", "rdi"),
        ),
    ],
)
def test_a_part_of_a_register_belongs_to_the_full_one(name: str, full: str) -> None:
    assert full_register(name) == full


@pytest.mark.parametrize("machine", ISAS)
def test_arguments_and_scratch_registers_are_full_and_differ(machine: str) -> None:
    isa = isa_of(machine)
    registers = (*isa.arguments, *isa.scratch)
    assert [full_register(name) for name in registers] == list(registers)
    assert len(set(registers)) == len(registers)
    assert not set(registers) & set(isa.stack)


def test_an_unknown_machine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KernelImageError, match=r"code of EM_S390 cannot be disassembled.*EM_X86_64, EM_AARCH64"):
        isa_of("EM_S390")
