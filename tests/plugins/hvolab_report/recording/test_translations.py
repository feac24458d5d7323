# SPDX-License-Identifier: GPL-2.0-only
"""Contents of TLBs from step to step: as the CPUs report them, and stale where the tables say otherwise."""

from __future__ import annotations

from hvolab.machine import Cpu, MachineSpec
from hvolab.trace import AllFlushed, Event
from hvolab_report.recording.translations import TlbChange, TlbFollower, described_frames
from tests.machines import pools
from tests.plugins.hvolab_report.runs import MIB, recording


def test_what_is_followed_is_what_the_tlbs_hold() -> None:
    machine = pools(MachineSpec(memory=256 * MIB, cpus=2)).machine
    follower = TlbFollower(machine)
    held: dict[tuple[int, int, int], int] = {}
    for number, pfn in enumerate((0x100, 0x4100, 0x100, 0x9000)):
        machine.cpus[number % 2].load_word(machine.struct_pages.va(pfn))
        machine.cpus[0].load_word(machine.page_to_virt(pfn))
        event: Event = Event()
        if number == 2:
            machine.flush_tlb_all()
            machine.cpus[1].load_word(machine.struct_pages.va(0x200))
            event = AllFlushed()
        for change in follower.changes(event):
            key = change.cpu, change.va, change.pages
            held.pop(key, None)
            if change.held:
                held[key] = change.pfn
    assert held == {(cpu.index, va, pages): pfn for cpu in machine.cpus for va, pfn, pages in rows(cpu)}
    assert len(held) > 2
    follower.close()


def test_two_followers_of_a_machine_see_the_same_and_one_may_close_first() -> None:
    machine = pools(MachineSpec(memory=256 * MIB, cpus=1)).machine
    first, second = TlbFollower(machine), TlbFollower(machine)
    machine.cpus[0].load_word(machine.struct_pages.va(0x100))
    seen = first.changes(Event())
    assert len(seen) == 1
    assert second.changes(Event()) == seen
    first.close()
    machine.cpus[0].load_word(machine.struct_pages.va(0x9000))
    assert (len(first.changes(Event())), len(second.changes(Event()))) == (0, 1)


def rows(cpu: Cpu) -> list[list[int]]:
    """What the TLB of a CPU holds."""
    found = cpu.cached_translations()
    assert found is not None
    made: list[list[int]] = found.tolist()
    return made


def after(number: int) -> dict[tuple[int, int, int], TlbChange]:
    """Translations that are held after a step, by CPU, VA and pages."""
    held: dict[tuple[int, int, int], TlbChange] = {}
    for step in recording().steps[: number + 1]:
        for change in step.translations:
            key = change.cpu, change.va, change.pages
            held.pop(key, None)
            if change.held:
                held[key] = change
    return held


def test_translations_are_stale_from_the_store_to_the_flush() -> None:
    steps = recording().steps
    names = [step.event.name for step in steps]
    begin = names.index("batch")
    end = names.index("batch", begin + 1)
    flush = max(number for number in range(begin, end) if names[number] == "flush.all")
    stale = {number: [one for one in after(number).values() if one.stale] for number in (begin, flush - 1, flush)}
    assert stale[begin] == []
    assert {one.cpu for one in stale[flush - 1]} == {0}  # the flush after the split has emptied the other TLB
    assert stale[flush] == []
    assert [steps[number].stale for number in stale] == [0, len(stale[flush - 1]), 0]


def test_a_machine_that_names_no_frames_has_struct_pages_of_all_its_memory() -> None:
    machine = pools(MachineSpec(memory=256 * MIB)).machine
    assert described_frames(machine) == machine.vmemmap != ()
    machine.vmemmap = ()  # as the machine of a memory core
    assert described_frames(machine) == [(machine.memory.first_pfn, machine.memory.first_pfn + machine.memory.frames)]
