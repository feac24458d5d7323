# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages of a compound page and of a hugetlb folio, written through a CPU at the vmemmap's VAs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Cpu, Machine, StructPages
from hvolab.machine.cpus.bulk import change_bits
from hvolab.machine.struct_pages.edit import Words, edit_struct_pages
from hvolab.release.struct_page import FolioField, FolioValue, WordPlace

_ALL_ONES = (1 << 64) - 1


class _WordStore(NamedTuple):
    """Store to a word of a folio that becomes a compound page.

    offset     of the word from the head's struct page
    kept       bits that keep their value
    value      the other bits
    list_head  offset of the list head that is stored instead; None: the value is
    """

    offset: int
    kept: int
    value: int
    list_head: int | None


class FolioPages:
    """Reads and writes the struct pages of folios on one CPU."""

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self.cpu = cpu
        self.pages: StructPages = machine.struct_pages
        self.layout = machine.struct_pages.layout
        byte_order = machine.target.architecture.byte_order
        self._place = partial(FolioField.place, size=self.layout.size, byte_order=byte_order)
        self._mark = self._place(self.layout.hugetlb_mark)
        self._refcount = self._place(FolioField(0, self.layout.refcount, 4))
        zeroed = {self._place(field).offset for field in self.layout.hugetlb_zeroed}
        lists = (one.field for one in self.layout.compound_stores if one.value is FolioValue.EMPTY_LIST)
        starts = (field.page * self.layout.size + field.offset for field in lists)
        self._overwritten_lists = [start for start in starts if zeroed & {start, start + WORD_BYTES}]
        self._stores: dict[tuple[int, bool], list[_WordStore]] = {}

    # runs of struct pages

    def edit(self, va: int, count: int, change: Callable[[Words, int], None]) -> None:
        """Change a run of struct pages; see :func:`edit_struct_pages`."""
        edit_struct_pages(self.cpu, self.pages, va, count, change)

    def prep_compound(self, folio: int, order: int, *, gigantic: bool = False, fresh: bool = True) -> None:
        """Make a compound page. Kernel: prep_compound_page(), v6.12; __prep_compound_gigantic_page(), v6.1.

        fresh  it was just allocated; else it is part of a folio that is demoted
        """

        def make_tails(words: Words, _: int) -> None:
            self.pages.make_tails(words, folio, order, gigantic=gigantic, fresh=fresh)

        self.edit(folio + self.layout.size, (1 << order) - 1, make_tails)
        self.prep_head(folio, order, gigantic=gigantic)

    def prep_head(self, folio: int, order: int, *, gigantic: bool) -> None:
        """Mark the head, and store the fields of a compound page in the first tails.

        Kernel: __SetPageHead(), prep_compound_head().
        """
        self._or_flags(folio, 1 << self.layout.pg_head)
        stores = self._stores.get((order, gigantic))
        if stores is None:
            stores = self._stores[order, gigantic] = self._word_stores(order, gigantic=gigantic)
        for offset, kept, value, list_head in stores:
            va = folio + offset
            word = value if list_head is None else folio + list_head
            self.cpu.store_word(va, self.cpu.load_word(va) & kept | word if kept else word)

    def _word_stores(self, order: int, *, gigantic: bool) -> list[_WordStore]:
        """Return the stores of a compound page, those to one word as one, without fields beyond its struct page."""
        words: dict[int, tuple[int, int]] = {}
        stores = []
        for store in self.layout.compound_stores:
            if (gigantic and not store.gigantic) or store.field.offset + store.field.octets > self.layout.size:
                continue
            match store.value:
                case FolioValue.EMPTY_LIST:
                    start = store.field.page * self.layout.size + store.field.offset
                    stores += [_WordStore(start + link, 0, 0, start) for link in (0, WORD_BYTES)]
                    continue
                case FolioValue.ORDER:
                    value = order
                case FolioValue.PAGES:
                    value = 1 << order
                case int(value):
                    pass
            place = self._place(store.field)
            kept, word = words.get(place.offset, (_ALL_ONES, 0))
            words[place.offset] = (place.put(kept, 0), place.put(word, value))
        return [*(_WordStore(offset, kept, word, None) for offset, (kept, word) in words.items()), *stores]

    def destroy_compound(self, folio: int, order: int) -> None:
        """Clear the fields of a compound page that becomes single pages, or is a range of them that is freed.

        Kernel: __destroy_compound_gigantic_page(), v6.1.
        """
        layout = self.layout
        for store in layout.compound_stores:
            if store.gigantic and store.value is not FolioValue.EMPTY_LIST:
                self._set(folio, self._place(store.field), 0)

        def clear(words: Words, _: int) -> None:
            words[:, layout.mapping // WORD_BYTES] = 0
            words[:, layout.compound_head // WORD_BYTES] = 0

        self.edit(folio + layout.size, (1 << order) - 1, clear)
        self._or_flags(folio, 0, drop=1 << layout.pg_head)

    def unlink_tail(self, page: int) -> None:
        """Clear link and mapping of a tail that becomes a head. Kernel: demote_free_hugetlb_folios(), v6.12."""
        self.cpu.store_word(page + self.layout.mapping, 0)
        self.cpu.store_word(page + self.layout.compound_head, 0)

    def init_deferred_list(self, folio: int) -> None:
        """Empty the list of a compound page that hugetlb's fields have overwritten.

        Kernel: __update_and_free_hugetlb_folio(), v6.12, before a folio is freed.
        """
        for list_head in self._overwritten_lists:
            for link in (0, WORD_BYTES):
                self.cpu.store_word(folio + list_head + link, folio + list_head)

    def init_hugetlb(self, folio: int) -> None:
        """Mark a hugetlb folio, which has no subpool and no cgroup. Kernel: init_new_hugetlb_folio(), v6.12."""
        self.set_hugetlb(folio, hugetlb=True)
        for field in self.layout.hugetlb_zeroed:
            self.cpu.store_word(folio + self._place(field).offset, 0)

    def init_vmemmap(self, folio: int, first: int, last: int, links: int, order: int) -> None:
        """Initialize the struct pages [first, last) of a gigantic boot folio, as tails but the head.

        Kernel: hugetlb_folio_init_tail_vmemmap(), v6.12.
        """
        layout = self.layout

        def fresh(words: Words, done: int) -> None:
            """Fill struct pages as boot does, from position ``done`` on."""
            words[:] = 0
            words[:, layout.flags // WORD_BYTES] = links
            start = folio + (first + done) * layout.size + layout.lru_next
            lru = start + np.arange(len(words), dtype=np.uint64) * np.uint64(layout.size)
            words[:, layout.lru_next // WORD_BYTES] = lru
            words[:, layout.lru_prev // WORD_BYTES] = lru
            words.view(self.pages.memory.halves.dtype)[:, layout.page_type // 4] = layout.page_type_none
            if first:
                self.pages.make_tails(words, folio, order, gigantic=True)

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
        self._change_bit(folio + self.layout.private, bit, value=value)

    def poisoned(self, page: int) -> bool:
        """Return whether a struct page has PG_hwpoison. Kernel: folio_test_hwpoison(), PageHWPoison()."""
        return bool(self.cpu.load_word(page + self.layout.flags) >> self.layout.pg_hwpoison & 1)

    def set_poisoned(self, page: int, *, value: bool) -> None:
        """Set or clear PG_hwpoison of a struct page. Kernel: folio_set_hwpoison(), SetPageHWPoison()."""
        self._change_bit(page + self.layout.flags, self.layout.pg_hwpoison, value=value)

    def is_hugetlb(self, folio: int) -> bool:
        """Return whether a folio has the mark of hugetlb. Kernel: folio_test_hugetlb()."""
        return self._get(folio, self._mark) == self.layout.hugetlb_set

    def set_hugetlb(self, folio: int, *, hugetlb: bool, gigantic: bool = False) -> None:
        """Set or clear the mark. Kernel: __folio_set_hugetlb(), v6.12; set_compound_page_dtor(), v6.1."""
        cleared = self.layout.gigantic_cleared if gigantic else self.layout.hugetlb_cleared
        self._set(folio, self._mark, self.layout.hugetlb_set if hugetlb else cleared)

    def refcount(self, folio: int) -> int:
        """Return the reference count. Kernel: folio_ref_count()."""
        return self._get(folio, self._refcount)

    def set_refcount(self, folio: int, value: int) -> None:
        """Store the reference count. Kernel: folio_ref_freeze(), folio_ref_unfreeze()."""
        self._set(folio, self._refcount, value)

    def init_lru(self, folio: int) -> None:
        """Make the lru an empty list. Kernel: INIT_LIST_HEAD(&folio->lru)."""
        node = folio + self.layout.lru_next
        self.cpu.store_word(node, node)
        self.cpu.store_word(folio + self.layout.lru_prev, node)

    def node(self, folio: int) -> int:
        """Return the NUMA node. Kernel: folio_nid()."""
        return self.layout.node(self.cpu.load_word(folio + self.layout.flags))

    def _change_bit(self, va: int, bit: int, *, value: bool) -> None:
        """Set or clear a bit of a word in one access."""
        change_bits(self.cpu, va, **{"set_bits" if value else "clear_bits": 1 << bit})

    def _or_flags(self, folio: int, bits: int, *, drop: int = 0) -> None:
        va = folio + self.layout.flags
        self.cpu.store_word(va, self.cpu.load_word(va) & ~drop | bits)

    def _get(self, folio: int, place: WordPlace) -> int:
        """Return the value of a field."""
        return place.get(self.cpu.load_word(folio + place.offset))

    def _set(self, folio: int, place: WordPlace, value: int) -> None:
        """Store the value of a field."""
        va = folio + place.offset
        self.cpu.store_word(va, place.put(self.cpu.load_word(va), value))
