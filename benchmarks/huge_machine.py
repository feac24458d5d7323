# SPDX-License-Identifier: GPL-2.0-only
"""Machines of any size with huge pages as boot leaves them, built without touching more memory than boot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab.plugin import registry

ORDER = 9
_CHUNK = 256
_GIB = 1 << 30
_NORMAL_ZONE = 2
_MAPPING = 24
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class HugeMachine:
    """A machine and its folios.

    order   log2 of the base pages of a folio, as in an hstate
    heads   PFN of each folio's head
    folios  VA of a list head on which they are linked through ``lru``
    others  VA of an empty list head
    """

    machine: Machine
    heads: npt.NDArray[np.int64]
    folios: int
    others: int
    order: int = ORDER

    def link(self, heads: npt.NDArray[np.int64]) -> None:
        """Put these folios, and no others, on the list, in this order."""
        machine, layout = self.machine, self.machine.struct_pages.layout
        where, vas = machine.struct_pages.locate(heads), struct_pages_at(machine, heads)
        nodes = vas + np.uint64(layout.lru_next)
        words, head = machine.memory.words, np.uint64(self.folios)
        words[(where + layout.lru_next) // 8] = np.append(nodes[1:], head)
        words[(where + layout.lru_prev) // 8] = np.insert(nodes[:-1], 0, head)
        cpu = machine.cpus[0]
        cpu.store_word(self.folios, int(nodes[0]))
        cpu.store_word(self.folios + 8, int(nodes[-1]))
        lists.init(cpu, self.others)


def build(folios: int, architecture: str = "x86_64") -> HugeMachine:
    """Build a machine with ``folios`` huge pages of 2 MiB at the top of its memory, in the architecture's default mode.

    Their struct pages are as boot leaves those of huge pages: the head, and the tails in the head's page.
    Kernel: hugetlb_folio_init_vmemmap() in mm/hugetlb.c, v6.12.
    """
    target = registry().architecture(architecture).select()
    huge = target.mode.page_size << ORDER
    # below the folios: vmemmap, page tables and the head pages that HVO allocates. All of that fits in ZONE_NORMAL,
    # from which the allocator takes the lowest frames first, so that it never reaches the folios
    low = max(zone.limit for zone in target.architecture.zone_limits)
    room = low + -(-folios * huge // 48 // _GIB) * _GIB
    spec = MachineSpec(memory=folios * huge + room, deferred_struct_pages=True, tlb_capacity=1024, release_freed=True)
    machine = build_machine(target, spec)
    first = machine.memory.first_pfn + (room >> target.mode.page_shift)
    heads = first + (np.arange(folios, dtype=np.int64) << ORDER)
    for start in range(0, folios, _CHUNK):
        _fill_first_pages(target, machine, heads[start : start + _CHUNK])
    made = HugeMachine(machine, heads, machine.kernel_data(lists.SIZE), machine.kernel_data(lists.SIZE))
    made.link(heads)
    return made


def struct_pages_at(machine: Machine, pfns: npt.NDArray[np.int64]) -> Words:
    """Return the VAs of the struct pages of ``pfns``; they are too high for signed integers."""
    pages = machine.struct_pages
    return np.uint64(pages.base) + (pfns - pages.first_pfn).astype(np.uint64) * np.uint64(pages.layout.size)


def _fill_first_pages(target: Target, machine: Machine, heads: npt.NDArray[np.int64]) -> None:
    """Write the struct pages in the first vmemmap page of each folio."""
    layout, mode = machine.struct_pages.layout, target.mode
    per_page = mode.page_size // layout.size
    fields = np.zeros((heads.size, per_page, layout.words), dtype=np.uint64)
    fields[:, :, layout.flags // 8] = layout.links(0, _NORMAL_ZONE)
    fields[:, 0, layout.flags // 8] |= np.uint64(1 << layout.pg_head)
    fields[:, 1:, layout.compound_head // 8] = struct_pages_at(machine, heads)[:, None] | np.uint64(1)
    fields[:, 1:, _MAPPING // 8] = layout.tail_mapping
    # page_type is the low half of its word and refcount, which is 0 for all of them, the high one
    fields[:, 1:, layout.page_type // 8] = layout.page_type_none
    fields[:, 0, layout.page_type // 8] = layout.hugetlb_set
    order = layout.folio_order.place(layout.size, target.architecture.byte_order)
    fields.reshape(heads.size, -1)[:, order.offset // 8] |= np.uint64(ORDER << order.shift)
    rows = machine.struct_pages.locate(heads) >> mode.page_shift
    machine.memory.pages[rows] = fields.reshape(heads.size, -1)
