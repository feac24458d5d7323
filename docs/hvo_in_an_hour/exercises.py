# SPDX-License-Identifier: GPL-2.0-only
"""HVO in an hour: eight exercises. Fill in each function, then run pytest in this folder."""

from hvolab.hvo import Hvo


def struct_page_va(pfn, vmemmap_base, size):
    """1. Return the VA of the struct page of a frame. The vmemmap is one array; `size` is sizeof(struct page)."""


def frames_saved(huge_page, base_page, size):
    """2. Return how many frames HVO gives back for one huge page, 0 where it refuses; all sizes are in bytes."""


def store_to_every_tail(machine, folio):
    """3. The folio is optimized. Make the word at offset 0x38 of each of its pages of vmemmap 0x5ec7e7, by one store.

    machine.tables.frame_of(va) is the PFN that a VA maps, machine.page_to_virt(pfn) a frame's VA in the direct map,
    machine.cpus[0].store_word(va, value) a store of CPU 0.
    """


def make_a_tail_writable(machine, folio):
    """4. The folio is optimized. Let CPU 0 store to its first page of tails, with no fault.

    machine.tables.find(va).slot is where the entry of a VA lies, machine.memory.write_entry(pa, raw) stores one,
    machine.target.leaf("pte", pfn, PgprotRole.KERNEL) is an entry with PAGE_KERNEL. CPU 0 has a TLB.
    """


def page_tables_needed(folios):
    """5. Return how many page tables a batch allocates for 2 MiB folios, which are VAs of their head struct pages.

    x86_64: a PMD leaf maps 2 MiB of vmemmap, and splitting it takes one table, whatever the number of folios below it.
    """


def head_of(page, load_word):
    """6. Return the VA of the head's struct page for the VA of any struct page of a huge page that may be optimized.

    load_word(va) reads memory. A struct page has 64 bytes: flags, with PG_head as bit 6, then compound_head, whose
    bit 0 is set in a tail, the rest being the head's VA. Through the shared frame a tail's page begins with a copy
    of the head: page_fixed_fake_head() in include/linux/page-flags.h.
    """


def allocation_that_wastes_most():
    """7. A restore of one 2 MiB folio allocates pages. Return the number, from 1 on, of the one whose failure undoes
    the most work.
    """


class TooEarly(Hvo):
    """8. An engine that frees pages of vmemmap while another CPU still translates to them.

    Take out one line: machine.flush_tlb_all() ends a batch. The rule `flushed` has to find it.
    """
