"""What an emulated CPU has in a machine: text that is mapped where the kernel's image is, in frames set aside."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import Access, PageFault, Target
from hvolab.errors import MachineError
from hvolab.machine import Machine, MachineSpec, build_machine, map_guest_text, use_cpus
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.cpus.model_cpu import ModelCpu
from hvolab.plugin import registry
from tests.made_up import MADE_UP

SPEC = MachineSpec(memory=64 << 20, cpus=2)
TARGETS = [
    pytest.param(architecture.select(mode.name), id=f"{architecture.name}-{mode.name}")
    for architecture in registry().architectures().values()
    if architecture.emulation is not None
    for mode in architecture.modes
]


@pytest.mark.parametrize("target", TARGETS)
def test_the_text_can_be_read_and_executed_and_not_written(target: Target) -> None:
    machine = build_machine(target, SPEC)
    guest = machine.guest
    assert guest is not None
    assert guest.text_va == target.mode.text_base
    cpu = machine.cpus[0]
    assert isinstance(cpu, ModelCpu)
    for page, pfn in enumerate(range(*guest.text)):
        va = guest.text_va + (page << target.mode.page_shift)
        assert machine.tables.frame_of(va) == pfn
        assert cpu.load_word(va) == 0
        cpu.translate(va, int(Access.READ | Access.EXECUTE))
        with pytest.raises(PageFault):
            cpu.store_word(va, 1)


@pytest.mark.parametrize("target", TARGETS)
def test_text_tables_and_areas_share_the_frames_set_aside(target: Target) -> None:
    machine = build_machine(target, SPEC)
    guest, (first, stop) = machine.guest, machine.scratch_pfns
    assert guest is not None
    tables = [step.slot >> target.mode.page_shift for step in machine.tables.walk(guest.text_va)]
    assert guest.text[0] == first
    assert guest.frames[1] == stop
    assert stop - guest.frames[0] >= 48
    own = [pfn for pfn in tables if first <= pfn < stop]
    assert all(guest.text[1] <= pfn < guest.frames[0] for pfn in own)
    assert not machine.memory.pages[guest.frames[0] - machine.memory.first_pfn :][: stop - guest.frames[0]].any()


def test_an_architecture_that_cannot_be_emulated_has_no_text() -> None:
    assert build_machine(MADE_UP.select(), SPEC).guest is None


def test_too_few_frames_and_a_place_that_is_taken_are_refused() -> None:
    machine = build_machine(registry().architecture("x86_64").select(), SPEC)
    first, _ = machine.scratch_pfns
    with pytest.raises(MachineError, match="5 frames are too few for guest text"):
        map_guest_text(machine.tables, (first, first + 5), 0xFFFFFE0000000000)
    with pytest.raises(MachineError, match="already mapped above level pte"):
        map_guest_text(machine.tables, machine.scratch_pfns, machine.virt(0))


def test_every_cpu_is_replaced_by_one_of_its_number() -> None:
    machine = build_machine(registry().architecture("riscv").select(), SPEC)
    before = list(machine.cpus)

    def make(machine: Machine, index: int) -> Cpu:
        return ModelCpu(index, machine.memory, machine.tables, machine.trace)

    use_cpus(machine, make)
    assert [cpu.index for cpu in machine.cpus] == [0, 1]
    assert not set(map(id, before)) & set(map(id, machine.cpus))


def test_a_chain_of_links_is_followed_to_its_end() -> None:
    machine = build_machine(registry().architecture("riscv").select(), SPEC)
    cpu, va = bulk_of(machine.cpus[0]), machine.kernel_data(64)
    links = [va + 16, va + 48, va + 32]
    for at, link in zip([va, *links], [*links, va], strict=True):
        machine.cpus[0].store_word(at, link)
    assert cpu.load_chain(va, va).tolist() == links
    assert cpu.load_chain(va, va + 16).size == 0
    assert cpu.load_chain(va, va).dtype == np.uint64
