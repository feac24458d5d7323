# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of machines with emulated CPUs: the emulator works on the memory that is restored under it."""

from __future__ import annotations

import copy
import pickle

import pytest

from hvolab.arch import PgprotRole
from hvolab.errors import UsageError
from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from tests.folios import Hstate, new_folio
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, lab, pages


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_hvo_on_an_emulated_cpu_leaves_the_same_bytes_after_each_restore(name: str) -> None:
    machine, _ = lab(name)
    order = machine.target.mode.levels[-2].shift - machine.target.mode.page_shift
    hvo, folio = Hvo(machine), new_folio(machine, order)
    checkpoint, before = Checkpoint(machine), machine.memory.octets.tobytes()
    left = []
    for _ in range(3):
        hvo.optimize_folio(Hstate(order), folio)
        assert hvo.folio_optimized(folio)
        left.append(machine.memory.octets.tobytes())
        checkpoint.restore()
        assert machine.memory.octets.tobytes() == before
        assert not hvo.folio_optimized(folio)
        checkpoint.restore()
    assert left[0] == left[1] == left[2] != before


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_emulated_cpu_keeps_no_translation_from_before_a_restore(name: str) -> None:
    machine, cpu = lab(name)
    old, new = pages(machine, 2)
    mode = machine.target.mode
    assert machine.guest is not None
    va = machine.guest.text_va + 32 * mode.page_size
    slot = machine.virt(machine.tables.find(va).slot)

    def entry(page: int) -> int:
        pfn = (page - machine.virt(0)) >> mode.page_shift
        return machine.target.leaf(mode.last.name, pfn, PgprotRole.KERNEL)

    cpu.write_entry(slot, entry(old))
    cpu.store_word(old, 1)
    cpu.store_word(new, 2)
    checkpoint = Checkpoint(machine)
    cpu.write_entry(slot, entry(new))
    cpu.flush_all()
    assert cpu.load_word(va) == 2
    checkpoint.restore()
    assert cpu.load_word(va) == 1


def test_an_emulated_cpu_runs_on_after_many_restores() -> None:
    machine, cpu = lab("x86_64")
    va, _ = pages(machine, 2)
    first = cpu.load_word(va)
    checkpoint = Checkpoint(machine)
    for value in range(100):
        cpu.store_word(va, value)
        assert cpu.load(va, 8) == value.to_bytes(8, "little")
        checkpoint.restore()
        assert cpu.load_word(va) == first


def test_a_machine_with_an_emulated_cpu_is_not_copied_and_a_copy_can_be_emulated() -> None:
    machine = build_machine(registry().architecture("riscv").select(), MachineSpec(memory=64 << 20))
    other = copy.deepcopy(machine)
    (cpu,) = emulate(machine)
    for duplicate in (copy.deepcopy, pickle.dumps):
        with pytest.raises(
            UsageError, match=r"emulated CPU 0 cannot be copied or pickled.*hint: copy the machine before"
        ):
            duplicate(machine)
    (its_cpu,) = emulate(other)
    va = machine.virt(machine.memory.base + (32 << 20))
    cpu.store_word(va, 1)
    its_cpu.store_word(va, 2)
    assert (cpu.load_word(va), its_cpu.load_word(va)) == (1, 2)
