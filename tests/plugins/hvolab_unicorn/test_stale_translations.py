# SPDX-License-Identifier: GPL-2.0-only
"""Two emulated CPUs over one memory are two CPUs: a translation stays usable on one until it is flushed there."""

from __future__ import annotations

import pytest

from hvolab.arch import PageFault, PgprotRole
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_unicorn import emulate
from tests.plugins.hvolab_unicorn.twins import MIB, MODES, pages, target_of


class Remapped:
    """A page that both CPUs have used, remapped read-only to the frame of another."""

    def __init__(self, mode: str) -> None:
        self.machine: Machine = build_machine(target_of(mode, "strict"), MachineSpec(memory=64 * MIB, cpus=2))
        self.cpus = emulate(self.machine)
        paging, guest = self.machine.target.mode, self.machine.guest
        assert guest is not None
        self.old, self.new = pages(self.machine, 2)
        self.va = guest.text_va + 32 * paging.page_size
        self.slot = self.machine.virt(self.machine.tables.find(self.va).slot)
        self.map(self.old, PgprotRole.KERNEL)
        for cpu in self.cpus:
            cpu.store_word(self.va, 0x1111)
        self.cpus[0].store_word(self.new, 0x2222)
        self.map(self.new, PgprotRole.KERNEL_RO)

    def map(self, page: int, role: PgprotRole) -> None:
        paging = self.machine.target.mode
        pfn = (page - self.machine.virt(0)) >> paging.page_shift
        self.cpus[0].write_entry(self.slot, self.machine.target.leaf(paging.last.name, pfn, role))


@pytest.fixture(params=MODES)
def remapped(request: pytest.FixtureRequest) -> Remapped:
    return Remapped(request.param)


def test_before_the_flush_a_stale_store_lands_in_the_old_frame(remapped: Remapped) -> None:
    for cpu in remapped.cpus:
        assert cpu.load_word(remapped.va) == 0x1111
        cpu.store_word(remapped.va + 8, 0xBAD + cpu.index)
        assert cpu.load_word(remapped.old + 8) == 0xBAD + cpu.index
    assert remapped.cpus[0].load_word(remapped.new + 8) not in {0xBAD, 0xBAD + 1}


def test_a_flush_on_one_cpu_leaves_the_other_as_it_was(remapped: Remapped) -> None:
    first, second = remapped.cpus
    size = remapped.machine.target.mode.page_size
    first.flush_range(remapped.va, remapped.va + size)
    assert first.load_word(remapped.va) == 0x2222
    assert second.load_word(remapped.va) == 0x1111
    with pytest.raises(PageFault):
        first.store_word(remapped.va, 1)
    second.store_word(remapped.va, 0x3333)
    assert first.load_word(remapped.old) == 0x3333


@pytest.mark.parametrize("how", ["range", "page", "all"])
def test_after_the_flush_everywhere_nobody_reaches_the_old_frame(remapped: Remapped, how: str) -> None:
    machine, va, size = remapped.machine, remapped.va, remapped.machine.target.mode.page_size
    if how == "all":
        machine.flush_tlb_all()
    else:
        machine.flush_tlb_kernel_range(va - (size if how == "range" else 0), va + size)
    for cpu in remapped.cpus:
        assert cpu.load_word(va) == 0x2222
        with pytest.raises(PageFault):
            cpu.store_word(va, 1)
    assert remapped.cpus[1].load_word(remapped.old) == 0x1111


def test_other_flushes_leave_the_translation_where_the_emulator_is_precise(remapped: Remapped) -> None:
    """unicorn's sfence.vma forgets everything, whatever its operand: a declared difference."""
    cpu, size = remapped.cpus[0], remapped.machine.target.mode.page_size
    cpu.flush_range(remapped.va + 4 * size, remapped.va + 6 * size)
    precise = not any("SFENCE.VMA" in told for told in cpu.vcpu.part.differences(remapped.machine.target))
    assert (cpu.load_word(remapped.va) == 0x1111) is precise
    cpu.barrier("smp_wmb")
    cpu.barrier("walker")


def test_stores_of_one_cpu_are_seen_by_the_other(remapped: Remapped) -> None:
    first, second = remapped.cpus
    first.store_word(remapped.new + 64, 5)
    assert second.compare_and_swap(remapped.new + 64, 5, 6) == 5
    assert first.load_word(remapped.new + 64) == 6
