# SPDX-License-Identifier: GPL-2.0-only
"""The machine: kernel functions that HVO calls outside its own file, what they change and which events they emit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hvolab.machine import Cpu, Machine, MachineSpec, ModelCpu, build_machine, use_cpus
from hvolab.machine.frames.source import Owner
from hvolab.plugin import registry
from hvolab.release.gfp import GFP_KERNEL, Gfp
from hvolab.trace import (
    AllFlushed,
    CounterChanged,
    Event,
    GracePeriod,
    KeyChanged,
    PagesAllocated,
    PagesFreed,
    PageSplit,
    RangeFlushed,
)
from tests.folios import allocator
from tests.machines import x86_64

SPEC = MachineSpec(memory=64 << 20, cpus=2)


def test_blocks_are_allocated_zeroed_on_request_split_and_freed() -> None:
    machine = build_machine(x86_64(), SPEC)
    with machine.trace.record() as events:
        pfn = machine.alloc_pages(GFP_KERNEL, 2, 0)
        assert pfn is not None
        machine.memory.frame(pfn)[:] = 7
        machine.split_page(pfn, 2)
        for frame in range(pfn, pfn + 4):
            machine.free_pages(frame, 0)
        again = machine.alloc_contig(int(GFP_KERNEL | Gfp.ZERO), 2, 0)
    assert again == pfn
    assert not machine.memory.frame(pfn).any()
    kinds = [type(event) for event in events]
    assert kinds == [PagesAllocated, PageSplit, *[PagesFreed] * 4, PagesAllocated]
    assert isinstance(events[0], PagesAllocated)
    assert (events[0].gfp, events[0].order, events[0].node, events[0].pfns.tolist()) == (GFP_KERNEL, 2, 0, [pfn])


def test_a_call_that_fails_is_an_event_and_returns_nothing() -> None:
    machine = build_machine(x86_64(), SPEC)
    with machine.trace.record() as events:
        assert machine.alloc_contig(GFP_KERNEL, 18, 0) is None
        pfns = machine.alloc_pages_run(1 << 20, GFP_KERNEL, 0)
    assert [event.failed for event in events if isinstance(event, PagesAllocated)] == [True, True]
    assert 0 < pfns.size < 1 << 14


def test_boot_frames_that_are_not_registered_stay_reserved_where_bootmem_info_counts() -> None:
    for name in ("x86_64", "riscv"):
        machine = build_machine(registry().architecture(name).select(), SPEC)
        layout, pages = machine.struct_pages.layout, machine.struct_pages
        first, second = machine.tables.frames(pages.va(machine.memory.first_pfn), 2).tolist()
        pages.set_words(np.array([second]), layout.index, 0)
        machine.free_bootmem_run(np.array([first, second], dtype=np.int64))
        owners = allocator(machine).owner(np.array([first, second])).tolist()
        kept = Owner.RESERVED if machine.target.traits.bootmem_info else Owner.FREE
        assert owners == [Owner.FREE, kept]


@pytest.mark.parametrize("name", ["x86_64", "riscv"])
def test_a_boot_frame_is_freed_by_itself_as_in_a_run(name: str) -> None:
    traces, owners = [], []
    for single in (False, True):
        machine = build_machine(registry().architecture(name).select(), SPEC)
        layout, pages = machine.struct_pages.layout, machine.struct_pages
        frames = machine.tables.frames(pages.va(machine.memory.first_pfn), 3)
        pages.set_words(frames[1:2], layout.index, 0)  # not registered
        pages.set_words(frames[2:], layout.mapping, 8)  # bad
        with machine.trace.record() as events:
            for pfn in frames.tolist():
                if single:
                    machine.free_bootmem_page(pfn)
                else:
                    machine.free_bootmem_run(np.array([pfn], dtype=np.int64))
        traces.append(list(map(str, events)))
        owners.append((allocator(machine).owner(frames).tolist(), machine.records.reserved(frames).tolist()))
    assert traces[0] == traces[1]
    assert owners[0] == owners[1]
    assert owners[0][0][0] == Owner.FREE


def test_counters_the_key_and_grace_periods_count_and_emit_events() -> None:
    machine = build_machine(x86_64(), SPEC)
    total = machine.counters.total
    with machine.trace.record() as events:
        machine.change_key(2)
        machine.memmap_pages_add(3)
        machine.memmap_boot_pages_add(-1)
        machine.synchronize_rcu()
    assert (machine.key, machine.counters.total - total, machine.grace_periods) == (2, 2, 1)
    counted = [CounterChanged("nr_memmap_pages", 3), CounterChanged("nr_memmap_boot_pages", -1)]
    assert events == [KeyChanged(2), *counted, GracePeriod()]


def test_flushes_reach_every_cpu() -> None:
    machine = build_machine(x86_64(), SPEC)
    va = machine.page_to_virt(machine.memory.first_pfn)
    flushes: list[tuple[Callable[[], None], Event]] = [
        (lambda: machine.flush_tlb_kernel_range(va, va + 4096), RangeFlushed(va, va + 4096)),
        (machine.flush_tlb_all, AllFlushed()),
    ]
    for act, event in flushes:
        for cpu in machine.cpus:
            cpu.load_word(va)
        with machine.trace.record() as events:
            act()
        assert events == [event]
        for cpu in machine.cpus:
            cached = cpu.cached_translations()
            assert cached is not None
            assert not cached.size


def test_every_cpu_is_replaced_by_one_of_its_number() -> None:
    machine = build_machine(registry().architecture("riscv").select(), SPEC)
    before = list(machine.cpus)

    def make(machine: Machine, index: int) -> Cpu:
        return ModelCpu(index, machine.memory, machine.tables, machine.trace)

    use_cpus(machine, make)
    assert [cpu.index for cpu in machine.cpus] == [0, 1]
    assert not set(map(id, before)) & set(map(id, machine.cpus))


def test_a_frame_is_allocated_by_its_number_once() -> None:
    machine = build_machine(x86_64(), MachineSpec(memory=64 << 20))
    pfn = machine.alloc_pages(GFP_KERNEL, 0)
    assert pfn is not None
    assert not machine.take_free_frame(pfn)
    machine.free_pages(pfn, 0)
    assert machine.take_free_frame(pfn)
    assert allocator(machine).owner(np.array([pfn]))[0] == Owner.ALLOCATED
    assert not machine.take_free_frame(pfn)
