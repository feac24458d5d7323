# SPDX-License-Identifier: GPL-2.0-only
"""Machines as a kernel finds them after boot: nodes, zones, whose frames the vmemmap lies in, what is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.arch import EntryKind
from hvolab.errors import MachineError
from hvolab.machine import Machine, MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.frames.source import Owner
from hvolab.machine.frames.zones import ZoneKind
from hvolab.release import DEFAULT
from hvolab.release.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL
from hvolab_x86_64.description import X86_64
from tests.folios import allocator, backing_frames
from tests.made_up import MADE_UP

MIB, GIB = 1 << 20, 1 << 30
TARGET = X86_64.select()
LAYOUT = DEFAULT.struct_page


def flags_of(machine: Machine, pfns: list[int]) -> list[int]:
    return [int(flags) for flags in machine.struct_pages.words(np.array(pfns, dtype=np.int64), LAYOUT.flags)]


def refcounts(machine: Machine, pfns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    where = machine.struct_pages.locate(pfns) + LAYOUT.refcount
    return [int(count) for count in machine.memory.halves[where // 4]]


@pytest.mark.parametrize("mode", ["4-level", "5-level"])
def test_all_ram_is_in_the_direct_map_by_the_largest_leaves(mode: str) -> None:
    machine = build_machine(X86_64.select(mode), MachineSpec(memory=GIB + 6 * MIB))
    virt = machine.virt
    assert machine.tables.find(virt(0)).level.name == "pud"
    assert machine.tables.find(virt(GIB)).level.name == "pmd"
    assert machine.tables.frames(virt(GIB - 4096), 2 + 6 * 256 - 1).tolist() == list(range(0x3FFFF, 0x40600))
    assert machine.tables.find(virt(GIB + 6 * MIB)).kind is EntryKind.NONE
    assert machine.page_to_virt(5) == virt(0x5000) == X86_64.mode(mode).direct_map_base + 0x5000


def test_the_direct_map_ends_with_pages_where_no_large_leaf_fits() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=64 * MIB + 0x3000))
    assert machine.tables.find(machine.virt(64 * MIB)).level.name == "pte"
    assert machine.tables.frames(machine.virt(64 * MIB), 4).tolist() == [0x4000, 0x4001, 0x4002, -1]


@pytest.mark.parametrize("backing", VmemmapBacking)
@pytest.mark.parametrize("nodes", [1, 2])
def test_the_counters_count_the_frames_behind_the_vmemmap(backing: VmemmapBacking, nodes: int) -> None:
    machine = build_machine(TARGET, MachineSpec(memory=512 * MIB, vmemmap=backing, nodes=nodes))
    frames = backing_frames(machine)
    assert machine.counters.total == frames.size == 512 * MIB // 4096 * 64 // 4096
    owners = allocator(machine).owner(frames)
    reserved = int((owners == Owner.RESERVED).sum())
    assert reserved + int((owners == Owner.ALLOCATED).sum()) == frames.size
    boot = {VmemmapBacking.BOOT: frames.size, VmemmapBacking.BUDDY: 0, VmemmapBacking.SELF_HOSTED: 512}[backing]
    assert machine.counters.nr_memmap_boot_pages == boot
    assert machine.counters.nr_memmap_pages == frames.size - boot


def test_boot_frames_are_reserved_and_registered_where_the_architecture_registers_them() -> None:
    for target, refcount, index in ((TARGET, 2, 12), (MADE_UP.select(), 1, 0)):
        machine = build_machine(target, MachineSpec(memory=512 * MIB))
        frames = backing_frames(machine)
        assert machine.records.reserved(frames).all()
        assert set(refcounts(machine, frames)) == {refcount}
        assert set(machine.struct_pages.words(frames, LAYOUT.index).tolist()) == {index}
        assert machine.records.boot_registered(frames).all() == target.architecture.traits.bootmem_info


def test_buddy_frames_are_whole_blocks_that_can_be_split() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=512 * MIB, vmemmap=VmemmapBacking.BUDDY))
    frames = backing_frames(machine)
    assert not machine.records.reserved(frames).any()
    assert [allocator(machine).order_of(int(head)) for head in frames[::512]] == [9] * 4
    machine.split_page(int(frames[0]), 9)
    machine.free_pages(int(frames[1]), 0)
    assert allocator(machine).owner(frames[:3]).tolist() == [Owner.ALLOCATED, Owner.FREE, Owner.ALLOCATED]


def test_self_hosted_vmemmap_lies_at_the_start_of_what_it_describes() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=512 * MIB, vmemmap=VmemmapBacking.SELF_HOSTED))
    frames = machine.tables.frames(machine.struct_pages.va(0), 4 * 512)
    described = np.arange(4) * 0x8000
    assert frames[512::512].tolist() == described[1:].tolist()
    cpu = machine.cpus[0]
    assert [machine.records.self_hosted(cpu, int(pfn)) for pfn in frames[::512]] == [False, True, True, True]
    assert machine.records.self_hosted(cpu, int(frames[-1]))
    assert machine.self_hosted == tuple((int(pfn), int(pfn) + 512) for pfn in described[1:])


def test_nodes_are_equal_and_their_struct_pages_say_so() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=512 * MIB, nodes=4))
    assert machine.vmemmap == tuple((node * 0x8000, (node + 1) * 0x8000) for node in range(4))
    pfns = [node * 0x8000 + 0x7FFF for node in range(4)]
    assert [LAYOUT.node(flags) for flags in flags_of(machine, pfns)] == [0, 1, 2, 3]
    assert [allocator(machine).zone_of(pfn).node for pfn in pfns] == [0, 1, 2, 3]
    for node in range(4):  # and each node's vmemmap is its own
        frame = machine.tables.frame_of(machine.struct_pages.va(node * 0x8000))
        assert frame is not None
        assert allocator(machine).zone_of(frame).node == node


def test_zones_end_where_the_architecture_says() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=5 * GIB, deferred_struct_pages=True))
    edges = [0xFFF, 0x1000, 0xFFFFF, 0x100000]
    kinds = [allocator(machine).zone_of(pfn).kind for pfn in edges]
    assert kinds == [ZoneKind.DMA, ZoneKind.DMA32, ZoneKind.DMA32, ZoneKind.NORMAL]


def test_struct_pages_carry_their_zone() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=64 * MIB))
    assert [LAYOUT.zone(flags) for flags in flags_of(machine, [0xFFF, 0x1000])] == [ZoneKind.DMA, ZoneKind.DMA32]
    machine = build_machine(MADE_UP.select(), MachineSpec(memory=64 * MIB))  # no zone limits: all is normal
    assert [LAYOUT.zone(flags) for flags in flags_of(machine, [0x90000, 0x90FFF])] == [ZoneKind.NORMAL] * 2


def test_a_movable_only_node_serves_no_kernel_memory_and_holds_none() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=256 * MIB, nodes=2, movable_nodes=frozenset({1})))
    assert LAYOUT.zone(flags_of(machine, [0xFFFF])[0]) == ZoneKind.MOVABLE
    kernel, movable = machine.alloc_pages(GFP_KERNEL, 0, 1), machine.alloc_pages(GFP_HIGHUSER_MOVABLE, 0, 1)
    assert kernel is not None
    assert movable is not None
    assert [allocator(machine).zone_of(pfn).node for pfn in (kernel, movable)] == [0, 1]
    assert (backing_frames(machine) < 0x8000).all()


@pytest.mark.parametrize("movable", [{0}, {2}, {1, 5}])
def test_only_nodes_after_the_first_can_be_movable_only(movable: set[int]) -> None:
    with pytest.raises(MachineError, match="movable-only nodes") as caught:
        build_machine(TARGET, MachineSpec(nodes=2, movable_nodes=frozenset(movable)))
    assert "node 0 holds the kernel's own memory" in caught.value.rule


def test_nodes_that_the_flags_of_a_struct_page_cannot_hold_are_refused() -> None:
    few = replace(LAYOUT, node_bits=2, node_shift=62)
    assert build_machine(TARGET, MachineSpec(memory=512 * MIB, nodes=4, layout=few)).nodes == 4
    with pytest.raises(MachineError, match="5 nodes do not fit into the 2 bits of the node") as caught:
        build_machine(TARGET, MachineSpec(nodes=5, layout=few))
    assert (caught.value.rule, caught.value.hint) == (
        "NODES_SHIFT in include/linux/numa.h: this kernel has at most 4 nodes",
        "build a machine with at most 4 nodes",
    )


def test_deferred_struct_pages_stay_untouched_until_their_frames_are_used() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=256 * MIB, deferred_struct_pages=True))
    free = 0xF000
    assert flags_of(machine, [free]) == [0]
    assert machine.records.reserved(backing_frames(machine)).all()
    assert set(refcounts(machine, backing_frames(machine))) == {2}


@pytest.mark.slow
def test_a_large_machine_is_built_whole() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=1 << 38, deferred_struct_pages=True))
    assert machine.counters.total == 1 << 20
    last = (1 << 26) - 1
    assert machine.tables.frame_of(machine.struct_pages.va(last)) is not None
    assert machine.tables.frame_of(machine.page_to_virt(last)) == last


def test_scratch_frames_are_set_aside_and_kernel_data_is_zero_until_used_up() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=64 * MIB))
    first, last = machine.scratch_pfns
    assert last - first == 64
    assert (allocator(machine).owner(np.arange(first, last)) == Owner.RESERVED).all()
    va = machine.kernel_data(16)
    assert machine.cpus[0].load(va, 16) == bytes(16)
    assert machine.kernel_data(16) == va + 16
    with pytest.raises(MachineError, match="no room for 4096 more bytes"):
        machine.kernel_data(4096)


def test_every_cpu_has_its_number() -> None:
    machine = build_machine(TARGET, MachineSpec(memory=64 * MIB, cpus=3))
    assert [cpu.index for cpu in machine.cpus] == [0, 1, 2]


@pytest.mark.parametrize(
    "spec",
    [
        MachineSpec(memory=1 * MIB),
        MachineSpec(memory=2 * MIB),
        MachineSpec(memory=2 * MIB, vmemmap=VmemmapBacking.BUDDY),
        MachineSpec(memory=64 * MIB, nodes=2),
        MachineSpec(memory=0),
        MachineSpec(memory=-4096),
        MachineSpec(memory=64 * MIB + 1),
        MachineSpec(nodes=0),
        MachineSpec(cpus=0),
        MachineSpec(memory=1 << 60),
        MachineSpec(memory=64 * MIB, layout=replace(DEFAULT.struct_page, size=1 << 20)),
    ],
    ids=str,
)
def test_a_machine_that_cannot_be_is_refused_with_a_hint(spec: MachineSpec) -> None:
    with pytest.raises(MachineError) as caught:
        build_machine(TARGET, spec)
    assert caught.value.hint or "not a whole number of pages" in caught.value.what


def test_more_ram_than_the_vmemmap_has_room_for_is_refused() -> None:
    target = X86_64.select(vmemmap_base=0xFFFF887FFFE00000)  # right below the direct map
    with pytest.raises(MachineError, match="does not fit above VA 0xffff887fffe00000"):
        build_machine(target, MachineSpec(memory=256 * MIB))
