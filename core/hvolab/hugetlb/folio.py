# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages of a compound page and of a hugetlb folio, written through a CPU at the vmemmap's VAs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Cpu, Machine, StructPages

Words = npt.NDArray[np.uint64]
_HALF = 32
_HALF_MASK = (1 << _HALF) - 1
_TYPE_SHIFT = 24
_ORDER_MASK = 0xFF


class FolioPages:
    """Reads and writes the struct pages of folios on one CPU."""

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self.cpu = cpu
        self.pages: StructPages = machine.struct_pages
        self.layout = machine.struct_pages.layout
        self._page_size = machine.target.mode.page_size
        self._little = machine.target.architecture.byte_order == "little"
        self._dtype = machine.memory.words.dtype

    # runs of struct pages

    def edit(self, va: int, count: int, change: Callable[[Words, int], None]) -> None:
        """Load ``count`` struct pages from ``va`` on, call ``change(words, first)``, and store them.

        ``words`` has shape (struct pages, words of each); ``first`` is the position of the first of them. Each call has
        one page of vmemmap, so that a store to a read-only tail faults at the same VA as the kernel's.
        """
        size, done = self.layout.size, 0
        while done < count:
            start = va + done * size
            part = min(count - done, (self._page_size - start % self._page_size) // size)
            octets = np.frombuffer(bytearray(self.cpu.load(start, part * size)), dtype=self._dtype)
            words = octets.reshape(part, self.layout.words)
            change(words, done)
            self.cpu.store(start, words.tobytes())
            done += part

    def prep_compound(self, folio: int, order: int) -> None:
        """Make a compound page. Kernel: prep_compound_page(), prep_compound_head(), v6.12."""
        self.edit(
            folio + self.layout.size, (1 << order) - 1, lambda words, _: self.pages.make_tails(words, folio, order)
        )
        self.prep_head(folio, order)

    def prep_head(self, folio: int, order: int) -> None:
        """Mark the head; store order, number of pages and mapcounts of -1 in the first tail page.

        Kernel: __SetPageHead(), prep_compound_head().
        """
        layout = self.layout
        self._or_flags(folio, 1 << layout.pg_head)
        first = folio + layout.folio_order
        flags = self.cpu.load_word(first + layout.flags)
        self.cpu.store_word(first + layout.flags, flags & ~_ORDER_MASK | order)
        self.cpu.store_word(folio + layout.folio_large_mapcount, (1 << 64) - 1)
        self.cpu.store_word(first + layout.mapping, 0)
        self.cpu.store_word(folio + layout.folio_nr_pages, 1 << order)

    def destroy_compound(self, folio: int, order: int) -> None:
        """Clear the fields of a compound page. Kernel: free_pages_prepare(), free_tail_page_prepare(), v6.12."""
        layout = self.layout
        first = folio + layout.folio_order
        self.cpu.store_word(first + layout.flags, self.cpu.load_word(first + layout.flags) & ~_ORDER_MASK)

        def clear(words: Words, _: int) -> None:
            words[:, layout.mapping // WORD_BYTES] = 0
            words[:, layout.compound_head // WORD_BYTES] = 0

        self.edit(folio + layout.size, (1 << order) - 1, clear)
        self._or_flags(folio, 0, drop=1 << layout.pg_head)

    def init_hugetlb(self, folio: int) -> None:
        """Set the hugetlb type, an empty lru, no subpool and no cgroup. Kernel: init_new_hugetlb_folio(), v6.12."""
        layout = self.layout
        self.set_hugetlb(folio, hugetlb=True)
        self.init_lru(folio)
        second = folio + 2 * layout.size
        for offset in (layout.lru_prev, layout.mapping, layout.index):
            self.cpu.store_word(second + offset, 0)

    def init_vmemmap(self, folio: int, first: int, last: int, links: int, order: int) -> None:
        """Initialize the tails [first, last) of a boot folio. Kernel: hugetlb_folio_init_tail_vmemmap(), v6.12."""
        layout = self.layout

        def fresh(words: Words, done: int) -> None:
            """Fill struct pages as boot does, from position ``done`` on."""
            words[:] = 0
            words[:, layout.flags // WORD_BYTES] = links
            start = folio + (first + done) * layout.size + layout.lru_next
            lru = start + np.arange(len(words), dtype=np.uint64) * np.uint64(layout.size)
            words[:, layout.lru_next // WORD_BYTES] = lru
            words[:, layout.lru_prev // WORD_BYTES] = lru
            words[:, layout.page_type // WORD_BYTES] = self._join(layout.page_type_none, 0)
            if first:
                self.pages.make_tails(words, folio, order)

        self.edit(folio + first * layout.size, last - first, fresh)

    # one field

    def private(self, folio: int) -> int:
        """Return the word with the HPG_ flags."""
        return self.cpu.load_word(folio + self.layout.private)

    def set_private(self, folio: int, value: int) -> None:
        """Store the word with the HPG_ flags. Kernel: folio_change_private()."""
        self.cpu.store_word(folio + self.layout.private, value)

    def flag(self, folio: int, bit: int) -> bool:
        """Return an HPG_ flag."""
        return bool(self.private(folio) >> bit & 1)

    def set_flag(self, folio: int, bit: int, *, value: bool) -> None:
        """Set or clear an HPG_ flag."""
        private = self.private(folio)
        self.set_private(folio, private | 1 << bit if value else private & ~(1 << bit))

    def is_hugetlb(self, folio: int) -> bool:
        """Return whether a folio has the hugetlb type. Kernel: folio_test_hugetlb()."""
        return self._split(folio)[0] >> _TYPE_SHIFT == self.layout.page_type_hugetlb

    def set_hugetlb(self, folio: int, *, hugetlb: bool) -> None:
        """Set or clear the hugetlb type. Kernel: __folio_set_hugetlb(), __folio_clear_hugetlb()."""
        kind = self.layout.page_type_hugetlb << _TYPE_SHIFT if hugetlb else self.layout.page_type_none
        self.cpu.store_word(folio + self.layout.page_type, self._join(kind, self.refcount(folio)))

    def refcount(self, folio: int) -> int:
        """Return the reference count. Kernel: folio_ref_count()."""
        return self._split(folio)[1]

    def set_refcount(self, folio: int, value: int) -> None:
        """Store the reference count. Kernel: folio_ref_freeze(), folio_ref_unfreeze()."""
        self.cpu.store_word(folio + self.layout.page_type, self._join(self._split(folio)[0], value))

    def init_lru(self, folio: int) -> None:
        """Make the lru an empty list. Kernel: INIT_LIST_HEAD(&folio->lru)."""
        node = folio + self.layout.lru_next
        self.cpu.store_word(node, node)
        self.cpu.store_word(folio + self.layout.lru_prev, node)

    def node(self, folio: int) -> int:
        """Return the NUMA node. Kernel: folio_nid()."""
        return self.layout.node(self.cpu.load_word(folio + self.layout.flags))

    def _or_flags(self, folio: int, bits: int, *, drop: int = 0) -> None:
        va = folio + self.layout.flags
        self.cpu.store_word(va, self.cpu.load_word(va) & ~drop | bits)

    def _split(self, folio: int) -> tuple[int, int]:
        """Page type and reference count, which share a word."""
        word = self.cpu.load_word(folio + self.layout.page_type)
        low, high = word & _HALF_MASK, word >> _HALF
        return (low, high) if self._little else (high, low)

    def _join(self, page_type: int, refcount: int) -> int:
        low, high = (page_type, refcount) if self._little else (refcount, page_type)
        return low | high << _HALF
