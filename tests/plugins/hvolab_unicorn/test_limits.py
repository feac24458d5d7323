# SPDX-License-Identifier: GPL-2.0-only
"""What unicorn cannot do is refused with its reason; and each reason is shown by the emulator itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hvolab.arch import FaultKind, PageFault, PgprotRole, Target
from hvolab.errors import HvolabError, UsageError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.twins import MIB, MODES, lab, pages

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "LPA2": ("arm64", {"mode": "4K-52bit"}, "no LPA2"),
    "LPA2 of 16K": ("arm64", {"mode": "16K-52bit"}, "no LPA2"),
    "a VA of 52 bits": ("arm64", {"mode": "64K-52bit"}, "no 52-bit VA"),
    "access flags set by walks": ("arm64", {"features": ("hafdbs",)}, "set no access flag"),
    "HVO of 2026": ("arm64", {"release": "mm-2026"}, "which mm-2026 needs"),
    "Svnapot": ("riscv", {"features": ("svnapot",)}, "no Svnapot"),
    "Svpbmt": ("riscv", {"features": ("svpbmt",)}, "no Svpbmt"),
    "SME": ("x86_64", {"features": ("sme",)}, "has no SME"),
}


def target_of(architecture: str, **choice: Any) -> Target:
    return registry().architecture(architecture).select(**choice)


def machine_of(target: Target) -> Machine:
    return build_machine(target, MachineSpec(memory=64 * MIB))


def test_there_are_two_seven_and_three_modes_that_it_can_do() -> None:
    found = [mode.partition("-")[0] for mode in MODES]
    assert {name: found.count(name) for name in dict.fromkeys(found)} == {"x86_64": 2, "arm64": 7, "riscv": 3}


@pytest.mark.parametrize(("architecture", "choice", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_with_its_reason(architecture: str, choice: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be emulated: .*{reason}"):
        emulate(machine_of(target_of(architecture, **choice)))


def unlimited(target: Target) -> Target:
    """The same target of an architecture that declares no limits."""
    part = target.architecture.emulation
    assert part is not None
    return replace(target, architecture=replace(target.architecture, emulation=replace(part, limits=())))


def mapped(machine: Machine, cpu: EmulatedCpu, change: int) -> int:
    """VA of a page of the kernel whose entry has some bits changed."""
    mode = machine.target.mode
    va = cpu.vcpu.area.text_va + 32 * mode.page_size
    pfn = (pages(machine, 1)[0] - machine.virt(0)) >> mode.page_shift
    raw = machine.target.leaf(mode.last.name, pfn, PgprotRole.KERNEL) ^ change
    machine.memory.write_word(machine.tables.find(va).slot, raw)
    cpu.flush_all()
    return va


@pytest.mark.parametrize("mode", ["4K-52bit", "16K-52bit", "64K-52bit"])
def test_no_cpu_starts_with_a_va_of_52_bits(mode: str) -> None:
    """The first instruction cannot be fetched: the walk starts at another level."""
    with pytest.raises(HvolabError):
        emulate(machine_of(unlimited(target_of("arm64", mode=mode))))[0].flush_all()


def test_a_walk_sets_no_access_flag() -> None:
    machine, cpu = lab("arm64")
    va = mapped(machine, cpu, 1 << 10)
    with pytest.raises(PageFault) as caught:
        cpu.load_word(va)
    assert caught.value.fault.kind is FaultKind.ACCESS_FLAG


def test_a_memory_type_is_taken_for_the_ppn_or_dropped() -> None:
    """An entry of Svpbmt's NC leads to a PA that no memory has, and one of its IO is read as if it said nothing."""
    machine, cpu = lab("riscv")
    va = mapped(machine, cpu, 1 << 61)
    with pytest.raises(HvolabError):
        cpu.load_word(va)
    assert cpu.load_word(mapped(machine, cpu, 1 << 62)) >= 0


def test_a_napot_entry_maps_the_page_that_its_size_is_taken_for() -> None:
    """Svnapot: N with PPN[3:0] = 8 maps sixteen pages; each would be its own, here all are the ninth."""
    machine, cpu = lab("riscv")
    mode = machine.target.mode
    first = pages(machine, 32)[0] + 16 * mode.page_size - 1 & -16 * mode.page_size
    va = cpu.vcpu.area.text_va + 32 * mode.page_size
    pfn = (first - machine.virt(0)) >> mode.page_shift
    raw = machine.target.leaf(mode.last.name, pfn | 8, PgprotRole.KERNEL) | 1 << 63
    machine.memory.write_word(machine.tables.find(va).slot, raw)
    cpu.flush_all()
    assert va % (16 * mode.page_size) == 0
    assert cpu.load_word(va) == cpu.load_word(first + 8 * mode.page_size) != cpu.load_word(first)


def test_the_c_bit_is_taken_for_a_bit_of_the_pa() -> None:
    machine, cpu = lab("x86_64")
    with pytest.raises(HvolabError):
        cpu.load_word(mapped(machine, cpu, 1 << 47))
