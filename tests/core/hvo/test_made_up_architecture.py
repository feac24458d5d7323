# SPDX-License-Identifier: GPL-2.0-only
"""HVO on an architecture that nobody built: nothing in core assumes 4 KiB, 512 entries, one byte order or RAM at 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from hvolab.arch import Access, PageFault, PgprotRole
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, VmemmapBacking, build_machine
from hvolab.trace import EntriesStored, Warned
from tests.folios import (
    Hstate,
    allocator,
    backing_frames,
    frames_of,
    is_optimized,
    listed,
    new_folio,
    new_list,
    restored_tail,
    vmemmap_pages,
    without_optimized_bit,
)
from tests.made_up import MADE_UP, PAGE_SHIFT
from tests.primitive_cpu import primitive_cpu

ORDER, LARGE_ORDER = 11, 13  # 32 MiB and 128 MiB: 8 and 32 pages of vmemmap
EACH_BACKING = pytest.mark.parametrize("backing", [VmemmapBacking.BOOT, VmemmapBacking.BUDDY])


def a_machine(backing: VmemmapBacking = VmemmapBacking.BOOT, profile: str = "strict") -> Machine:
    return build_machine(MADE_UP.select(profile=profile), MachineSpec(memory=1 << 30, vmemmap=backing))


@EACH_BACKING
@pytest.mark.parametrize(("order", "pages"), [(ORDER, 8), (LARGE_ORDER, 32)])
def test_a_folio_is_optimized_and_restored(backing: VmemmapBacking, order: int, pages: int) -> None:
    machine, h = a_machine(backing), Hstate(order)
    hvo, folio = Hvo(machine), new_folio(machine, order)
    before, boot = vmemmap_pages(machine, folio, order), machine.counters.total
    frames = frames_of(machine, folio, order)
    assert np.unique(frames).size == pages

    with machine.trace.record() as events:
        hvo.optimize_folio(h, folio)
    assert not [event for event in events if isinstance(event, Warned)]
    assert is_optimized(machine, folio)
    shared = frames_of(machine, folio, order)
    assert np.unique(shared).size == 1
    assert shared[0] not in frames
    optimized = vmemmap_pages(machine, folio, order)
    assert (without_optimized_bit(machine, optimized[0]) == before[0]).all()
    assert (optimized == optimized[0]).all()
    assert machine.counters.total == boot - (pages - 1) == backing_frames(machine).size

    assert hvo.restore_folio(h, folio) == 0
    after = vmemmap_pages(machine, folio, order)
    assert np.unique(frames_of(machine, folio, order)).size == pages
    assert (after[0] == before[0]).all()
    assert (after[1:] == restored_tail(machine, optimized[0])).all()
    assert machine.counters.total == boot == backing_frames(machine).size
    assert machine.key == 0


def test_entries_are_stored_big_endian_where_tables_of_128_entries_say() -> None:
    machine = a_machine()
    folio = new_folio(machine, ORDER)
    Hvo(machine).optimize_folio(Hstate(ORDER), folio)
    head, tail = (machine.tables.walk(folio + page * (1 << PAGE_SHIFT)) for page in (0, 1))
    assert [step.level.name for step in head] == ["root", "middle", "last"]
    assert tail[2].slot % 1024 == head[2].slot % 1024 + 8
    target, pfn = machine.target, int(frames_of(machine, folio, ORDER)[0])
    for step, role in ((head[2], PgprotRole.KERNEL), (tail[2], PgprotRole.KERNEL_RO)):
        octets = machine.memory.view(step.slot, 8).tobytes()
        assert int.from_bytes(octets, "big") == step.raw == target.leaf("last", pfn, role)


def test_a_split_fills_one_table_and_leaves_the_neighbors_where_they_were() -> None:
    machine = a_machine()
    folio = new_folio(machine, ORDER)
    start = folio // (1 << 21) * (1 << 21)
    before = machine.tables.frames(start, 128)
    with machine.trace.record() as events:
        assert Hvo(machine).split_folio(Hstate(ORDER), folio) == 0
    filled = [event for event in events if isinstance(event, EntriesStored) and event.level == "last"]
    assert [(event.after.size, event.va) for event in filled] == [(128, start)]
    assert (machine.tables.frames(start, 128) == before).all()
    assert machine.tables.find(folio).level.name == "last"


def test_a_folio_whose_vmemmap_lies_in_two_tables_is_remapped_in_both() -> None:
    machine, h = a_machine(), Hstate(ORDER)
    size = 1 << 21  # of what one entry above the last level maps: the vmemmap does not begin on its boundary
    folios = [new_folio(machine, ORDER) for _ in range(20)]
    folio = next(folio for folio in folios if folio // size != (folio + (8 << PAGE_SHIFT) - 1) // size)
    before = vmemmap_pages(machine, folio, ORDER)
    with machine.trace.record() as events:
        Hvo(machine).optimize_folio(h, folio)
    tables = {event.pa >> PAGE_SHIFT for event in events if isinstance(event, EntriesStored) and event.level == "last"}
    assert len(tables) == 2
    assert np.unique(frames_of(machine, folio, ORDER)).size == 1
    assert Hvo(machine).restore_folio(h, folio) == 0
    assert (vmemmap_pages(machine, folio, ORDER)[0] == before[0]).all()


def test_a_batch_restores_all_and_moves_them_over() -> None:
    machine, h = a_machine(VmemmapBacking.BUDDY), Hstate(ORDER)
    hvo, folios = Hvo(machine), [new_folio(machine, ORDER) for _ in range(4)]
    allocated = allocator(machine).allocated_frames
    head, other = new_list(machine, folios), new_list(machine)
    hvo.optimize_folios(h, head)
    tables = 1  # all four lie in the part of the vmemmap that one entry maps
    assert allocator(machine).allocated_frames == allocated + tables - 4 * 7
    assert hvo.restore_folios(h, head, other) == 4
    assert listed(machine, head) == []
    assert listed(machine, other) == folios[::-1]
    assert allocator(machine).allocated_frames == allocated + tables


def test_a_page_size_that_saves_nothing_stays_as_it_is() -> None:
    machine, h = a_machine(), Hstate(7)  # 2 MiB here are 128 pages: half a page of struct pages
    hvo, folio = Hvo(machine), new_folio(machine, 7)
    assert not hvo.sizes(h).optimizable
    hvo.optimize_folio(h, folio)
    assert not is_optimized(machine, folio)
    assert machine.key == 0


@pytest.mark.parametrize(("profile", "faults"), [("strict", True), ("linux", False)])
def test_a_store_to_a_tail_faults_only_where_the_profile_protects_it(profile: str, *, faults: bool) -> None:
    machine = a_machine(profile=profile)
    folio, cpu = new_folio(machine, ORDER), machine.cpus[0]
    Hvo(machine).optimize_folio(Hstate(ORDER), folio)
    tail = folio + (3 << PAGE_SHIFT) + 56
    assert machine.target.tails_fault is faults
    if not faults:
        cpu.store_word(tail, 0xBAD)
        assert cpu.load_word(folio + 56) == 0xBAD  # the head's page was hit: nothing protects it here
        return
    with pytest.raises(PageFault) as caught:
        cpu.store_word(tail, 0xBAD)
    fault = caught.value.fault
    assert (fault.access, fault.va, fault.level) == (Access.WRITE, tail, "last")
    assert dict(fault.syndrome) == {"cause": 1, "write": 1, "address": tail, "depth": 0}


def test_a_failing_compare_and_swap_needs_no_write_permission_here() -> None:
    machine = a_machine()
    folio, cpu = new_folio(machine, ORDER), machine.cpus[0]
    Hvo(machine).optimize_folio(Hstate(ORDER), folio)
    tail = folio + (3 << PAGE_SHIFT) + 56
    there = cpu.load_word(tail)
    assert cpu.compare_and_swap(tail, there + 1, 0) == there
    with pytest.raises(PageFault):
        cpu.compare_and_swap(tail, there, 0)


def test_every_frame_is_above_the_start_of_ram() -> None:
    machine = a_machine()
    assert machine.struct_pages.pfn(new_folio(machine, ORDER)) >= MADE_UP.ram_base >> PAGE_SHIFT
    assert machine.struct_pages.va(MADE_UP.ram_base >> PAGE_SHIFT) == machine.target.mode.vmemmap_base
    assert machine.virt(MADE_UP.ram_base) == machine.target.mode.direct_map_base


@pytest.mark.parametrize("cpu", ["modeled", "without bulk operations"])
@pytest.mark.parametrize(("data", "entries"), [("little", "big"), ("big", "little")])
def test_entries_and_data_may_differ_in_their_byte_order(
    data: Literal["little", "big"], entries: Literal["little", "big"], cpu: str
) -> None:
    """As on ppc64le: the MMU reads big-endian entries, and struct pages are little-endian."""
    alike = replace(MADE_UP, byte_order=data)
    both = (alike, replace(alike, entry_byte_order=entries))
    machines = [build_machine(one.select(profile="strict"), MachineSpec(memory=1 << 30)) for one in both]
    shared = []
    for machine in machines:
        if cpu != "modeled":
            machine.cpus = [primitive_cpu(machine, 0)]
        hvo, folio = Hvo(machine), new_folio(machine, ORDER)
        hvo.optimize_folio(Hstate(ORDER), folio)
        step = machine.tables.find(folio + machine.target.mode.page_size)
        order = machine.target.entry_byte_order
        assert machine.memory.view(step.slot, 8).tobytes() == step.raw.to_bytes(8, order)
        shared.append((step, frames_of(machine, folio, ORDER).tolist(), vmemmap_pages(machine, folio, ORDER).tolist()))
        assert hvo.restore_folio(Hstate(ORDER), folio) == 0
    assert shared[0] == shared[1]
