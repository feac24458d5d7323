# SPDX-License-Identifier: GPL-2.0-only
"""What an emulated CPU has in a machine: text that is mapped where the kernel's image is, in frames set aside."""

from __future__ import annotations

import pytest

from hvolab.arch import Access, PageFault, Target
from hvolab.errors import MachineError
from hvolab.machine import MachineSpec, build_machine, map_guest_text
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
