# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages for tests of HVO: allocated, filled so that every struct page differs from every other, and read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES
from hvolab.hvo import Hvo
from hvolab.machine import FrameAllocator, Machine
from hvolab.machine.struct_pages import lists
from hvolab.release.gfp import GFP_HIGHUSER

Pfns = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
#: Fields that hugetlb leaves alone, by offset: what stands there tells one struct page from another.
_MARKED = (24, 32, 56)


@dataclass(frozen=True)
class Hstate:
    """What HVO needs of an hstate."""

    order: int


def allocator(machine: Machine) -> FrameAllocator:
    """The allocator of a machine that was built, and not taken from a kernel."""
    assert isinstance(machine.frames, FrameAllocator)
    return machine.frames


def new_folio(machine: Machine, order: int, node: int = 0) -> int:
    """The head of a new hugetlb folio whose refcount is frozen at 0."""
    pfn = machine.alloc_contig(GFP_HIGHUSER, order, node)
    assert pfn is not None
    count, pages, layout = 1 << order, machine.struct_pages, machine.struct_pages.layout
    head, where = pages.va(pfn), pages.locate(np.arange(pfn, pfn + count, dtype=np.int64))

    def put(offset: int, value: int | Words, first: int = 0) -> None:
        machine.memory.words[(where[first:] + offset) // WORD_BYTES] = value

    for offset in _MARKED:
        put(offset, np.arange(count, dtype=np.uint64) + np.uint64((pfn << 20) + (offset << 56)))
    put(layout.compound_head, head | 1, 1)
    put(layout.private, 0)
    machine.memory.halves[(where + layout.page_type) // 4] = layout.page_type_none
    machine.memory.halves[(where + layout.refcount) // 4] = 0
    machine.memory.halves[(where[0] + layout.page_type) // 4] = layout.hugetlb_set
    machine.memory.words[(where[0] + layout.flags) // WORD_BYTES] |= np.uint64(1 << layout.pg_head)
    for lru in (layout.lru_next, layout.lru_prev):
        machine.memory.words[(where[0] + lru) // WORD_BYTES] = head + layout.lru_next
    return head


def new_list(machine: Machine, folios: Iterable[int] = ()) -> int:
    """VA of a list head on which the folios are linked through their ``lru``, in that order."""
    head = machine.kernel_data(lists.SIZE)
    cpu, lru = machine.cpus[0], machine.struct_pages.layout.lru_next
    lists.init(cpu, head)
    for folio in folios:
        lists.add_tail(cpu, folio + lru, head)
    return head


def listed(machine: Machine, head: int) -> list[int]:
    """The folios on a list."""
    return [node - machine.struct_pages.layout.lru_next for node in lists.nodes(machine.cpus[0], head)]


def vmemmap_pages(machine: Machine, folio: int, order: int) -> Words:
    """The contents of a folio's vmemmap, as its tables map it now: shape (pages, words of a page)."""
    count = Hvo(machine).sizes(Hstate(order)).pages
    frames = machine.tables.frames(folio, count)
    pages: Words = machine.memory.pages[frames - machine.memory.first_pfn].copy()
    return pages


def frames_of(machine: Machine, folio: int, order: int) -> Pfns:
    """The frames behind a folio's vmemmap, one for each of its pages."""
    return machine.tables.frames(folio, Hvo(machine).sizes(Hstate(order)).pages)


def backing_frames(machine: Machine) -> Pfns:
    """Every frame of the leaves that boot maps the vmemmap by, once, ascending: what the counters count."""
    mode, pages = machine.target.mode, machine.struct_pages
    size = mode.level(mode.vmemmap_level).size
    start = pages.va(machine.vmemmap[0][0]) // size * size
    end = -(-pages.va(machine.vmemmap[-1][1]) // size) * size
    frames = np.unique(machine.tables.frames(start, (end - start) >> mode.page_shift))
    return frames[frames >= 0]


def private(machine: Machine, folio: int) -> int:
    """The ``private`` word of a folio's head: hugetlb's flags."""
    pages = machine.struct_pages
    return int(pages.words(np.array([pages.pfn(folio)]), pages.layout.private)[0])


def is_optimized(machine: Machine, folio: int) -> bool:
    """Whether HPG_vmemmap_optimized is set."""
    return bool(private(machine, folio) >> machine.struct_pages.layout.hpg_vmemmap_optimized & 1)


def restored_tail(machine: Machine, head_page: Words) -> Words:
    """What a tail page reads after a restore: the head's page, its first struct pages as the ones after them.

    Kernel: reset_struct_pages() in mm/hugetlb_vmemmap.c, v6.12.
    """
    layout = machine.struct_pages.layout
    reset = layout.reset_struct_pages * layout.words
    tail = head_page.copy()
    tail[:reset] = head_page[reset : 2 * reset]
    return tail


def without_optimized_bit(machine: Machine, head_page: Words) -> Words:
    """A head's page with HPG_vmemmap_optimized clear."""
    layout = machine.struct_pages.layout
    page = head_page.copy()
    page[layout.private // WORD_BYTES] &= ~np.uint64(1 << layout.hpg_vmemmap_optimized)
    return page
