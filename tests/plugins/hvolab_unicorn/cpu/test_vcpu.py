# SPDX-License-Identifier: GPL-2.0-only
"""Virtual CPUs: routines with arguments and results, refused targets, and an emulator that is watched."""

from __future__ import annotations

import pytest

from hvolab.arch import Access, FaultKind, PageFault
from hvolab.errors import UsageError
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_unicorn.cpu.calibration import Probe
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.errors import EmulatorError
from tests.plugins.hvolab_unicorn.raw import unmapped
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, lab, pages


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_routine_returns_its_result_the_first_time_and_later(architecture: str) -> None:
    machine, cpu = lab(architecture)
    (page,) = pages(machine, 1)
    vcpu = cpu.vcpu
    word = machine.memory.read_word(page - machine.virt(0))
    assert [vcpu.call(vcpu.routines["compare_and_swap"], page, word ^ 1, 5) for _ in range(2)] == [word, word]
    vcpu.call(vcpu.routines["store"], page, 6)
    assert vcpu.call(vcpu.routines["load"], page) == 6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_fault_leaves_a_cpu_that_works(architecture: str) -> None:
    cpu = lab(architecture).cpu
    vcpu = cpu.vcpu
    clean = vcpu.state()
    for _ in range(3):
        with pytest.raises(PageFault):
            vcpu.call(vcpu.routines["load"], unmapped(cpu))
        with pytest.raises(PageFault):
            vcpu.fetch(unmapped(cpu))
    assert vcpu.exceptions.number is None
    assert len(vcpu.state()) == len(clean)
    assert vcpu.call(vcpu.routines["load"], vcpu.area.block) == vcpu.area.block


def test_a_target_that_the_emulator_cannot_do_is_refused_with_the_reason() -> None:
    target = registry().architecture("arm64").select("4K-52bit")
    machine = build_machine(target, MachineSpec(memory=64 * MIB))
    with pytest.raises(UsageError, match=r"cannot be emulated: .*LPA2.*; hint: use the modeled CPU"):
        VirtualCpu(machine, 0)


def test_a_probe_that_does_not_fault_is_an_error() -> None:
    vcpu = lab("riscv").cpu.vcpu
    with pytest.raises(EmulatorError, match=f"load at VA {vcpu.area.block:#x} does not fault"):
        vcpu._probe(Probe("load", Access.READ, vcpu.area.block, FaultKind.TRANSLATION))
