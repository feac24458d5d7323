# SPDX-License-Identifier: GPL-2.0-only
"""Virtual CPUs: routines with arguments and results, refused targets, and an emulator that is watched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import Access, Architecture, FaultKind, MmuMemory, PageFault, RegisterSetting, Selection
from hvolab.errors import UsageError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.calibration import Probe
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.errors import EmulatorError
from hvolab_x86_64.description import X86_64
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


def _registers(selection: Selection, root: int) -> tuple[RegisterSetting, ...]:
    """x86-64's, but five levels are walked, and the root is not loaded."""
    assert X86_64.emulation is not None
    given = X86_64.emulation.registers(selection, root)
    five = (replace(one, value=one.value | 1 << 12) if one.name == "CR4" else one for one in given)
    return tuple(one for one in five if one.name != "CR3")


def _system_page(selection: Selection, root: int, pa: int) -> bytes:
    """A table above the root: its last entry leads to it, for all VAs whose upper bits are set."""
    del selection, pa
    return bytes(511 * 8) + (root | 0x67).to_bytes(8, "little")


def with_system_page() -> Architecture:
    """A made-up architecture whose MMU reads a page of the system before the root table, as powerpc a process table."""
    part = X86_64.emulation
    assert part is not None
    page = MmuMemory("system page", 4096, _system_page, lambda pa: (RegisterSetting("CR3", pa),), alignment=1 << 16)
    (four,) = (mode for mode in X86_64.modes if mode.name == "4-level")
    return replace(
        X86_64, name="paged", modes=(four,), features=(), emulation=replace(part, registers=_registers, memory=(page,))
    )


def test_memory_that_the_mmu_reads_besides_page_tables_is_set_up_by_the_machine() -> None:
    target = with_system_page().select(profile="strict")
    machine = build_machine(target, MachineSpec(memory=128 * MIB))
    assert machine.guest is not None
    ((name, pa),) = machine.guest.mmu
    assert (name, pa % (1 << 16), machine.memory.read_word(pa + 511 * 8)) == (
        "system page",
        0,
        machine.tables.root | 0x67,
    )
    (cpu,) = emulate(machine)
    (pool,) = (Pool(machine, h, Hvo(machine)) for h in hstates(machine)[:1])
    pool.set_max_huge_pages(1)
    (folio,) = pool.live
    assert cpu.load_word(folio) == cpu.load_word(folio + 4096)
    with pytest.raises(PageFault) as caught:
        cpu.store_word(folio + 4096, 1)
    assert caught.value.fault.kind is FaultKind.PERMISSION
    machine.memory.write_word(pa + 511 * 8, 0)  # the MMU does read it
    with pytest.raises(PageFault, match="error_code=0x10"):  # after the flush, not even the code is mapped
        cpu.flush_all()


def test_memory_of_the_mmu_that_a_machine_does_not_have_is_named() -> None:
    target = with_system_page().select()
    assert target.architecture.emulation is not None
    with pytest.raises(UsageError, match="the MMU's memory 'system page' is in no frame"):
        target.architecture.emulation.settings(target, 0x1000)
