# SPDX-License-Identifier: GPL-2.0-only
"""What struct pages say of frames, and what allocating and freeing writes into them."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import Architecture
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab.release import DEFAULT
from hvolab.release.gfp import GFP_KERNEL, Gfp
from hvolab_x86_64.description import X86_64
from tests.folios import backing_frames
from tests.made_up import MADE_UP

EACH_ARCHITECTURE = pytest.mark.parametrize("architecture", [X86_64, MADE_UP], ids=lambda one: one.name)


def a_machine(architecture: Architecture = X86_64) -> Machine:
    return build_machine(architecture.select(), MachineSpec(memory=256 << 20))


def refcounts(machine: Machine, pfns: list[int]) -> list[int]:
    where = machine.struct_pages.locate(np.array(pfns, dtype=np.int64)) + DEFAULT.struct_page.refcount
    return [int(count) for count in machine.memory.halves[where // 4]]


@EACH_ARCHITECTURE
def test_an_allocated_frame_has_one_reference_and_a_freed_one_none(architecture: Architecture) -> None:
    machine = a_machine(architecture)
    single = machine.alloc_pages(GFP_KERNEL, 0, 0)
    block = machine.alloc_pages(GFP_KERNEL, 3, 0)
    run = machine.alloc_pages_run(100, GFP_KERNEL, 0).tolist()
    few = machine.alloc_pages_run(3, GFP_KERNEL, 0).tolist()
    assert single is not None
    assert block is not None
    every = [single, *range(block, block + 8), *run, *few]
    assert set(refcounts(machine, every)) == {1}
    machine.free_pages(single, 0)
    machine.free_pages(block, 3)
    machine.free_page_run(np.array(run))
    machine.free_page_run(np.array(few))
    assert set(refcounts(machine, every)) == {0}


@EACH_ARCHITECTURE
@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_boot_frame_that_is_freed_is_reserved_no_more(architecture: Architecture, count: int) -> None:
    machine = a_machine(architecture)
    frames = backing_frames(machine)
    freed, kept = frames[5 : 5 + count], np.setdiff1d(frames, frames[5 : 5 + count])
    machine.free_bootmem_run(freed)
    assert not machine.records.reserved(freed).any()
    assert machine.records.reserved(kept).all()
    assert set(refcounts(machine, freed.tolist())) == {0}


def test_a_boot_frame_that_is_not_registered_stays_where_it_is() -> None:
    machine = a_machine()
    frames = backing_frames(machine)
    machine.struct_pages.set_words(frames[:1], DEFAULT.struct_page.index, 0)
    machine.free_bootmem_run(frames[:2])
    assert machine.records.reserved(frames[:2]).tolist() == [True, False]


def links(machine: Machine, pfn: int) -> tuple[int, ...]:
    layout, pages = machine.struct_pages.layout, machine.struct_pages
    return pages.word(pfn, layout.lru_next), pages.word(pfn, layout.lru_prev)


@EACH_ARCHITECTURE
@pytest.mark.parametrize("core", [False, True], ids=["whole", "core"])
def test_links_of_a_single_frame_are_overwritten_on_request(architecture: Architecture, *, core: bool) -> None:
    machine = a_machine(architecture)
    linked, other, block = (machine.alloc_pages(GFP_KERNEL, order, 0) for order in (0, 0, 1))
    boot, other_boot = backing_frames(machine)[:2].tolist()
    assert linked is not None
    assert other is not None
    assert block is not None
    before = {pfn: links(machine, pfn) for pfn in (other, other_boot, block)}
    assert lists.POISON not in before.values()
    if core:
        machine.memory.present = np.ones(machine.memory.frames, dtype=np.bool_)
    machine.free_pages(linked, 0, linked=True)
    machine.free_bootmem_page(boot, linked=True)
    machine.free_pages(other, 0)
    machine.free_bootmem_page(other_boot)
    machine.free_pages(block, 1, linked=True)
    assert {links(machine, linked), links(machine, boot)} == {lists.POISON}
    assert {pfn: links(machine, pfn) for pfn in before} == before
    assert refcounts(machine, [linked, other, boot, other_boot, block, block + 1]) == [0] * 6
    assert not machine.records.reserved(np.array([boot, other_boot])).any()


def test_links_of_a_frame_that_is_lost_stay() -> None:
    machine = a_machine()
    pfn = machine.alloc_pages(GFP_KERNEL, 0, 0)
    assert pfn is not None
    machine.struct_pages.set_words(np.array([pfn]), DEFAULT.struct_page.mapping, 8)
    before = links(machine, pfn)
    machine.free_pages(pfn, 0, linked=True)
    assert machine.lost_frames == 1
    assert links(machine, pfn) == before
    assert refcounts(machine, [pfn]) == [1]


def test_zeroed_memory_is_zero_however_it_was_left() -> None:
    machine = a_machine()
    pfn = machine.alloc_pages(GFP_KERNEL, 0, 0)
    assert pfn is not None
    machine.memory.frame(pfn)[:] = 7
    machine.free_pages(pfn, 0)
    assert machine.alloc_pages(GFP_KERNEL, 0, 0) == pfn
    assert (machine.memory.frame(pfn) == 7).all()
    machine.free_pages(pfn, 0)
    assert machine.alloc_pages(GFP_KERNEL | int(Gfp.ZERO), 0, 0) == pfn
    assert (machine.memory.frame(pfn) == 0).all()


def test_released_frames_are_zero_and_their_struct_pages_are_not() -> None:
    machine = build_machine(X86_64.select(), MachineSpec(memory=256 << 20, release_freed=True))
    pfns = machine.alloc_pages_run(10, GFP_KERNEL, 0)
    machine.memory.pages[pfns] = 7
    machine.free_page_run(pfns[:5])
    assert (machine.memory.pages[pfns[:5]] == 0).all()
    assert (machine.memory.pages[pfns[5:]] == 7).all()
    assert refcounts(machine, pfns.tolist()) == [0] * 5 + [1] * 5
