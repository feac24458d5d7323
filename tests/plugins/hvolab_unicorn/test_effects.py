# SPDX-License-Identifier: GPL-2.0-only
"""Each instruction sequence, executed in every mode, does what its effect says: the kit's own checks."""

from __future__ import annotations

import pytest

from hvolab.conformance.check import Check, CheckStatus, make
from hvolab.conformance.checks import emulation
from hvolab.conformance.subject import Subject
from hvolab.plugin import registry
from tests.plugins.hvolab_unicorn.twins import MODES, lab, pages

EFFECTS = [check for check in emulation.checks if check.name.endswith("declared_effect")]


@pytest.mark.parametrize("check", EFFECTS, ids=lambda check: check.name)
@pytest.mark.parametrize("mode", MODES)
def test_sequences_do_what_they_say(mode: str, check: Check) -> None:
    architecture, _, name = mode.partition("-")
    outcome = make(check, Subject(registry().architecture(architecture), name))
    assert outcome.verdict is CheckStatus.PASSED, outcome.reason


@pytest.mark.parametrize("mode", ["x86_64", "arm64", "riscv"])
def test_a_step_is_carried_out_by_the_names_of_its_contract(mode: str) -> None:
    machine, cpu = lab(mode)
    (page,) = pages(machine, 1)
    there = cpu.load_word(page + 8)
    assert cpu.carry_out("load", {"va": page + 8}) == {"value": there}
    assert cpu.carry_out("compare_and_swap", {"old": there, "new": 7, "va": page + 8}) == {"found": there}
    assert cpu.carry_out("store", {"value": 9, "va": page + 16}) == {}
    assert [cpu.load_word(page + 8), cpu.load_word(page + 16)] == [7, 9]
    registers = cpu.registers()
    convention = cpu.vcpu.part.convention
    assert {convention.block, convention.stack, convention.result, *convention.arguments} <= set(registers)
    assert registers[convention.block] == cpu.vcpu.area.block
