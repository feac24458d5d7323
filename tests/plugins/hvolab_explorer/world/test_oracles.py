# SPDX-License-Identifier: GPL-2.0-only
"""Oracles of single steps."""

from __future__ import annotations

import numpy as np

from hvolab.arch import PgprotRole
from hvolab_explorer.schedule import Replay
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64


def test_an_access_to_a_free_frame_is_found_through_the_vmemmap_and_the_direct_map() -> None:
    world = World(x86_64(), WorldSpec(folios=1, cpus=1, split=True))
    va = world.folios[0] + 64 * 70
    pfn = world.machine.tables.frame_of(va)
    assert pfn is not None

    def body() -> None:
        world.machine.frames.release_reserved(np.array([pfn]))
        world.cpus[0].load_word(va)
        world.cpus[0].store_word(world.machine.page_to_virt(pfn), 0)

    assert world.scheduler.run([Actor(0, "reader", body, 0)], Replay([])) == [
        "reader reads a free frame at A.70: its entry",
        f"reader stores to a free frame at PA {pfn << 12:#x}: the direct map",
    ]


def test_a_load_of_a_word_of_an_allocated_frame_that_is_not_written_is_found() -> None:
    world = World(x86_64(), WorldSpec(folios=1, cpus=1, split=True, options=WorldOptions(poisoned=True)))
    cpu, machine = world.cpus[0], world.machine

    def body() -> None:
        (pfn,) = machine.alloc_pages_run(1, 0, 0).tolist()
        va = machine.page_to_virt(pfn)
        cpu.store_word(va, 0)
        cpu.load_word(va)
        cpu.load_word(va + 8)

    (text,) = world.scheduler.run([Actor(0, "reader", body, 0)], Replay([]))
    assert text.startswith("reader loads what is not written yet at PA")
    assert text.endswith("8")


def test_an_entry_that_maps_a_page_table_is_found() -> None:
    world = World(x86_64(), WorldSpec(folios=1, cpus=1, split=True))
    machine = world.machine
    table = machine.tables.walk(world.folios[0])[-1].slot >> 12
    slot = machine.virt(machine.tables.find(world.folios[0]).slot)
    (raw,) = machine.target.page_entries(np.array([table]), PgprotRole.KERNEL).tolist()
    (text,) = world.scheduler.run([Actor(0, "", lambda: world.cpus[0].write_entry(slot, raw), 0)], Replay([]))
    assert text == f"an entry maps PFN {table:#x}, a page table, at PA {slot - machine.virt(0):#x}"
