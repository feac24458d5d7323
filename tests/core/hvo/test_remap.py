# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of vmemmap: split, remapped to one page, restored, and rolled back."""

from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np

from hvolab.hvo.remap import VmemmapRemap
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.frames.failure import FailCalls
from hvolab.release import DEFAULT, KernelRelease
from hvolab.release.releases import V6_12, V7_2
from tests.folios import allocator, frames_of, new_folio, vmemmap_pages
from tests.machines import MIB, x86_64

ORDER, SIZE = 9, 8 * 4096
#: compound_info of a tail of order 9 in v7.2: a mask of the head's VA, and the mark of a tail.
TAIL_LINK = (1 << 64) - (64 << ORDER) | 1


def built(release: KernelRelease = V6_12) -> tuple[VmemmapRemap, int]:
    layout = replace(DEFAULT.struct_page, masks_compound=release.variant.shares_tail_page)
    machine = build_machine(x86_64(), MachineSpec(memory=256 * MIB, layout=layout))
    return VmemmapRemap(machine, machine.cpus[0], release.variant), new_folio(machine, ORDER)


def test_a_split_keeps_every_frame() -> None:
    remap, folio = built()
    before = frames_of(remap.machine, folio, ORDER)
    assert remap.machine.tables.find(folio).level.name == "pmd"
    assert remap.split(folio, folio + SIZE) == 0
    assert remap.machine.tables.find(folio).level.name == "pte"
    assert (frames_of(remap.machine, folio, ORDER) == before).all()


def test_freed_pages_are_on_the_list_until_they_are_freed() -> None:
    remap, folio = built()
    before, free = frames_of(remap.machine, folio, ORDER), allocator(remap.machine).free_frames
    pages = remap.new_page_list()
    assert remap.free(folio, folio + SIZE, pages, 0) == 0
    frames = frames_of(remap.machine, folio, ORDER)
    assert len(set(frames.tolist())) == 1
    assert len(pages) == 8
    assert allocator(remap.machine).free_frames == free - 2  # the head's new page, and a page table
    remap.free_page_list(pages)
    assert len(pages) == 0
    assert allocator(remap.machine).free_frames == free + 6
    assert allocator(remap.machine).owner(before).tolist() == [0] * 8


def test_without_memory_nothing_is_allocated_and_nothing_remapped() -> None:
    remap, folio = built()
    pages = remap.new_page_list()
    remap.free(folio, folio + SIZE, pages, 0)
    remap.free_page_list(pages)
    before, free = vmemmap_pages(remap.machine, folio, ORDER), allocator(remap.machine).free_frames
    allocator(remap.machine).failure = FailCalls(frozenset({4}))
    assert remap.alloc(folio, folio + SIZE, 0) == -errno.ENOMEM
    assert allocator(remap.machine).free_frames == free
    assert (vmemmap_pages(remap.machine, folio, ORDER) == before).all()
    assert remap.alloc(folio, folio + SIZE, 0) == 0
    assert len(set(frames_of(remap.machine, folio, ORDER).tolist())) == 8


def test_the_tail_page_of_an_order_and_zone_is_allocated_once() -> None:
    remap, folio = built(V7_2)
    first = remap.tail_page(folio, ORDER)
    assert first is not None
    assert remap.tail_page(folio, ORDER) == first
    assert remap.tail_page(folio, ORDER + 1) != first
    links = remap.machine.memory.frame(first).view(np.uint64)[1::8]
    assert set(links.tolist()) == {TAIL_LINK}


def test_the_tails_that_folios_share_have_a_node_and_a_zone_and_no_last_cpu() -> None:
    """Fields of init_compound_tail(), read in the code of Debian's 7.2."""
    remap, folio = built(V7_2)
    machine, layout = remap.machine, remap.machine.struct_pages.layout
    pfn = remap.tail_page(folio, ORDER)
    assert pfn is not None
    tails = machine.memory.frame(pfn).view(np.uint64).reshape(-1, 8)
    zone = layout.zone(int(machine.struct_pages.word(machine.struct_pages.pfn(folio), layout.flags)))
    assert zone
    expected = [zone << layout.zone_shift, TAIL_LINK, 0, 0xDEAD000000000400, 0, 0, 0xFFFFFFFF, 0]
    assert (tails == np.array(expected, dtype=np.uint64)).all()
