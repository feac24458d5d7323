# SPDX-License-Identifier: GPL-2.0-only
"""Areas of CPUs: apart from each other, for as many CPUs as the reserved frames hold."""

from __future__ import annotations

import pytest

from hvolab.errors import MachineError, UsageError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.guest.area import area_of
from tests.made_up import MADE_UP
from tests.plugins.hvolab_unicorn.raw import MODES
from tests.plugins.hvolab_unicorn.twins import MIB, target_of

SPEC = MachineSpec(memory=64 * MIB)


def machine_of(architecture: str, spec: MachineSpec = SPEC) -> Machine:
    return build_machine(target_of(MODES[architecture]), spec)


def test_several_cpus_have_areas_of_their_own_and_too_many_are_refused() -> None:
    machine = machine_of("x86_64", MachineSpec(memory=64 * MIB, cpus=4))
    cpus = emulate(machine)
    assert [cpu.index for cpu in machine.cpus] == [0, 1, 2, 3]
    ends = [cpu.vcpu.area.buffer + cpu.vcpu.area.words.nbytes for cpu in cpus]
    assert all(end <= cpu.vcpu.area.block for end, cpu in zip(ends, cpus[1:], strict=False))
    with pytest.raises(UsageError, match="64 CPUs are too many to emulate; hint: at most 2"):
        emulate(machine_of("x86_64", MachineSpec(memory=64 * MIB, cpus=64)))


def test_a_machine_without_guest_text_or_with_another_one_is_refused() -> None:
    machine = machine_of("x86_64")
    machine.memory.write_word((machine.guest.text[0] << 12) + 0x400, 1)  # type: ignore[union-attr]
    with pytest.raises(MachineError, match="another guest text"):
        emulate(machine)
    machine.guest = None
    with pytest.raises(UsageError, match=r"no guest text, .*map_guest_text"):
        emulate(machine)
    with pytest.raises(UsageError, match="made-up declares no instructions"):
        VirtualCpu(build_machine(MADE_UP.select(), SPEC), 0)


@pytest.mark.parametrize("architecture", MODES)
def test_bytes_and_words_of_an_area_are_the_machines(architecture: str) -> None:
    machine = machine_of(architecture)
    area = area_of(machine, 0)
    area.write(area.tables, b"12345678")
    area.put_word(area.block, 77)
    assert bytes(area.view(area.tables, 8)) == b"12345678"
    assert (
        int.from_bytes(area.view(area.block, 8), "little")
        == machine.memory.read_word(area.block - machine.virt(0))
        == 77
    )
    area.words[0] = 78
    assert int.from_bytes(area.view(area.buffer, 8), "little") == 78
    assert area.block < area.tables < area.stack == area.buffer
