# SPDX-License-Identifier: GPL-2.0-only
"""Answers of the eight exercises, for whoever teaches."""

from unittest.mock import patch

from hvolab.arch import PgprotRole
from hvolab.hvo import Hvo


def struct_page_va(pfn, vmemmap_base, size):
    """1. An array's element."""
    return vmemmap_base + pfn * size


def frames_saved(huge_page, base_page, size):
    """2. One page stays; struct pages must fill pages without a rest, which only powers of two do."""
    pages = huge_page // base_page * size // base_page
    return pages - 1 if pages > 1 and size & (size - 1) == 0 else 0


def store_to_every_tail(machine, folio):
    """3. All map one frame, which the direct map has writable."""
    shared = machine.tables.frame_of(folio)
    machine.cpus[0].store_word(machine.page_to_virt(shared) + 0x38, 0x5EC7E7)


def make_a_tail_writable(machine, folio):
    """4. The entry, and the translation that the CPU may have kept."""
    tail = folio + machine.target.mode.page_size
    raw = machine.target.leaf("pte", machine.tables.frame_of(tail), PgprotRole.KERNEL)
    machine.memory.write_entry(machine.tables.find(tail).slot, raw)
    machine.flush_tlb_kernel_range(tail, tail + machine.target.mode.page_size)


def page_tables_needed(folios):
    """5. One for each PMD."""
    return len({folio >> 21 for folio in folios})


def head_of(page, load_word):
    """6. Only the first struct page of a page can be a fake head, and the one behind it is a tail of the same folio."""
    if page % 4096 == 0 and load_word(page) & 1 << 6:
        after = load_word(page + 64 + 8)
        return after - 1 if after & 1 else page
    link = load_word(page + 8)
    return link - 1 if link & 1 else page


def allocation_that_wastes_most():
    """7. The last of seven: six pages are freed again."""
    return 7


class TooEarly(Hvo):
    """8. Without the flush."""

    def optimize_folios(self, h, folio_list):
        """Optimize a list."""
        with patch.object(self.machine, "flush_tlb_all", lambda: None):
            super().optimize_folios(h, folio_list)
