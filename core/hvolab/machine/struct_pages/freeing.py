# SPDX-License-Identifier: GPL-2.0-only
"""Checks and preparation of the struct pages of a block that is freed.

Kernel: free_pages_prepare(), free_tail_page_prepare(), free_page_is_bad() in mm/page_alloc.c, v6.12; other releases by
the FreeChecks of their layout. The generation of LRU pages, memory cgroups, page pools and the order of the messages
are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.struct_pages.edit import Words, edit_struct_pages
from hvolab.machine.struct_pages.lists import POISON
from hvolab.machine.struct_pages.pages import StructPages
from hvolab.release.struct_page import FolioStore, FolioValue, StructPageLayout

Pfns = npt.NDArray[np.int64]

#: Words of the kernel, in which struct pages are reported.
_MAPCOUNT: Final = "nonzero mapcount"
_MAPPING: Final = "non-NULL mapping"
_REFCOUNT: Final = "nonzero _refcount"
_FLAGS_SET: Final = "PAGE_FLAGS_CHECK_AT_FREE flag(s) set"
_TAIL_MAPPING: Final = "corrupted mapping in tail page"
_NO_TAIL: Final = "PageTail not set"
_OTHER_HEAD: Final = "compound_head not consistent"
#: The lowest type of a page, in the top byte of its page_type. Kernel: PGTY_buddy.
_LOWEST_TYPE: Final = 0xF0000000
#: page_type of a page without a type and without mappings: -1.
_NO_TYPE: Final = 0xFFFFFFFF
_ALL_ONES: Final = (1 << 64) - 1


class BadStructPages(NamedTuple):
    """Struct pages of one block that are wrong in the same way.

    reason    the kernel's words for it
    pfns      PFNs that they describe
    reported  whether this kernel, as it was booted, looks at it
    """

    reason: str
    pfns: Pfns
    reported: bool


class FreeChecker:
    """Checks of one machine's struct pages.

    enabled  the kernel's check_pages
    """

    def __init__(self, pages: StructPages, *, enabled: bool) -> None:
        self._pages = pages
        self._layout = layout = pages.layout
        self._checks = layout.free_checks
        self._single = (
            layout.flags,
            layout.refcount,
            layout.page_type,
            layout.mapping,
            layout.lru_next,
            layout.lru_prev,
        )
        self._flags, self._no_type = self._checks.flags, layout.page_type_none
        self.enabled = enabled
        self._stores = [store for store in layout.compound_stores if store.reason] if self._checks.tails else []
        # a page that is freed keeps node, zone, last CPU and PG_hwpoison
        kept = _ALL_ONES << min(layout.last_cpupid_shift, layout.zone_shift, layout.node_shift)
        self._kept = np.uint64((kept | 1 << layout.pg_hwpoison) & _ALL_ONES)

    @property
    def _state_reported(self) -> bool:
        return self.enabled or not self._checks.optional

    def is_compound(self, pfn: int) -> bool:
        """Return whether a block is a compound page. Kernel: PageCompound()."""
        return bool(self._pages.word(pfn, self._layout.flags) >> self._layout.pg_head & 1)

    def find(self, pfn: int, order: int) -> list[BadStructPages]:
        """Return what is wrong in the struct pages of a block of an order above 0 that is being freed."""
        rows, compound = self._pages.rows(pfn, 1 << order), self.is_compound(pfn)
        if self._all_hold(rows, pfn, order, compound=compound):
            return []
        found = []
        if compound and self._checks.tails:
            found += [(reason, slots, self.enabled) for reason, slots in self._tails(rows, pfn)]
        found += [(reason, slots, self._state_reported) for reason, slots in self._states(rows, compound=compound)]
        return [BadStructPages(reason, pfn + slots, reported) for reason, slots, reported in found]

    def locate_single(self, pfn: int) -> list[int]:
        """Return the places in memory of the fields that freeing a single frame uses, flags and _refcount first."""
        return self._pages.locate_fields(pfn, *self._single)

    def single_holds(self, places: Sequence[int], *, boot: bool = False) -> bool:
        """Return whether nothing is wrong in the struct page of a single frame, without arrays."""
        flags_at, _, type_at, mapping_at, _, _ = places
        memory = self._pages.memory
        words, flags = memory.scalar, memory.scalar[flags_at >> WORD_SHIFT]
        if boot:
            flags &= ~(1 << self._layout.pg_reserved)
        if not flags:  # not initialized
            return True
        wrong = flags & self._flags or words[mapping_at >> WORD_SHIFT]
        return not wrong and memory.half_scalar[type_at >> 2] == self._no_type

    def overwrite_links(self, places: Sequence[int]) -> None:
        """Overwrite page->lru of a free frame: the page allocator links it through these words, into lists of its own.

        Code that goes on through a page that it has freed then faults.
        """
        words, (*_, following, previous) = self._pages.memory.scalar, places
        words[following >> WORD_SHIFT], words[previous >> WORD_SHIFT] = POISON

    def find_single(self, pfns: Pfns, *, boot: bool = False) -> list[BadStructPages]:
        """Return what is wrong in the struct pages of single frames that are being freed.

        boot  boot frames, which lose PG_reserved just before
        """
        layout, pages = self._layout, self._pages
        kept = np.uint64(_ALL_ONES & ~((1 << layout.pg_reserved) * boot))
        flags = pages.words(pfns, layout.flags) & kept
        wrong = flags & np.uint64(self._checks.flags) != 0
        wrong |= pages.words(pfns, layout.mapping) != 0
        wrong |= pages.memory.halves[pages.locate(pfns, layout.page_type) >> 2] != layout.page_type_none
        wrong &= flags != 0  # initialized
        if not wrong.any():
            return []
        pfns = pfns[wrong]
        blocks = [pages.rows(pfn, 1) for pfn in pfns.tolist()]
        rows = np.concatenate(blocks, dtype=blocks[0].dtype)  # numpy would change the byte order
        rows[:, layout.flags // WORD_BYTES] &= kept
        states = self._states(rows, compound=False, single=True)
        return [BadStructPages(reason, pfns[slots], self._state_reported) for reason, slots in states]

    def find_free(self, heads: Pfns, order: int) -> list[BadStructPages]:
        """Return what is wrong in the struct pages of blocks that were freed."""
        blocks = [self._pages.rows(head, 1 << order) for head in heads.tolist()]
        # numpy would change the byte order
        rows = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, dtype=blocks[0].dtype)
        if self._all_hold(rows, int(heads[0]), order, compound=False):
            return []
        pfns = (heads[:, None] + np.arange(1 << order)).ravel()
        found = self._states(rows, compound=False)
        return [BadStructPages(reason, pfns[slots], reported=False) for reason, slots in found]

    def _all_hold(self, rows: Words, pfn: int, order: int, *, compound: bool) -> bool:
        """Return whether nothing is wrong in struct pages, in as few array operations as that takes."""
        layout, checks = self._layout, self._checks
        flags, mapping = rows[:, layout.flags // WORD_BYTES], rows[:, layout.mapping // WORD_BYTES]
        halves = rows.view(self._pages.memory.halves.dtype)
        return not (
            (flags[2:] & np.uint64(checks.flags)).any()
            or flags[0] & np.uint64(checks.flags)
            or flags[1] & np.uint64(checks.flags & ~checks.first_tail)
            or (halves[:, layout.page_type // 4] != _NO_TYPE).any()
            or mapping[slice(1) if compound else slice(None)].any()
            or (compound and halves[1:, layout.refcount // 4].any())
            or (compound and checks.tails and not self._tails_hold(rows, pfn, order))
        )

    def _tails_hold(self, rows: Words, pfn: int, order: int) -> bool:
        """Return whether nothing is wrong in what struct pages have as tails of a compound page."""
        layout = self._layout
        links, mapping = rows[1:, layout.compound_head // WORD_BYTES], rows[:, layout.mapping // WORD_BYTES]
        return not (
            (links != np.uint64(layout.tail_link(self._pages.va(pfn), order))).any()
            or (mapping[layout.used_subpages :] != np.uint64(layout.tail_mapping)).any()
            or not all(self._holds(store, rows, pfn) for store in self._stores)
        )

    def _tails(self, rows: Words, pfn: int) -> Iterator[tuple[str, Pfns]]:
        """Yield what free_tail_page_prepare() finds: the first reason of each tail, and its positions."""
        layout = self._layout
        links, head = rows[:, layout.compound_head // WORD_BYTES], np.uint64(self._pages.va(pfn))
        if layout.masks_compound:
            own = head + np.arange(links.size, dtype=np.uint64) * np.uint64(layout.size)
            other = own & links != head
        else:
            other = links - np.uint64(1) != head
        no_tail = links & np.uint64(1) == 0
        mapping = rows[:, layout.mapping // WORD_BYTES] != np.uint64(layout.tail_mapping)
        mapping[: layout.used_subpages] = False
        reported = np.zeros(links.size, dtype=np.bool_)
        reported[0] = True
        for store in self._stores:
            page = store.field.page
            if page < links.size and not reported[page] and not self._holds(store, rows, pfn):
                reported[page] = True
                yield store.reason, np.array([page], dtype=np.int64)
        for reason, wrong in ((_TAIL_MAPPING, mapping), (_NO_TAIL, no_tail), (_OTHER_HEAD, other)):
            slots = np.flatnonzero(wrong & ~reported)
            reported |= wrong
            if slots.size:
                yield reason, slots

    def _holds(self, store: FolioStore, rows: Words, pfn: int) -> bool:
        """Return whether a field of a first tail has the value of a folio that is not mapped."""
        size, page = self._layout.size, store.field.page
        place = store.field.place(size, "big" if rows.dtype.str[0] == ">" else "little")
        if page >= len(rows):
            return True
        word = int(rows[page, (place.offset - page * size) // WORD_BYTES])
        if store.value is FolioValue.EMPTY_LIST:
            return word == self._pages.va(pfn) + place.offset
        return place.get(word) == store.value

    def _states(self, rows: Words, *, compound: bool, single: bool = False) -> Iterator[tuple[str, Pfns]]:
        """Yield what free_page_is_bad() finds: the last reason of each struct page, and its positions.

        Struct pages that boot has not initialized have no flags, and are left out. The references of pages that are
        not compound are left to the caller, which drops them.
        """
        layout, checks = self._layout, self._checks
        halves, all_flags = rows.view(self._pages.memory.halves.dtype), rows[:, layout.flags // WORD_BYTES]
        flags, page_type = all_flags & np.uint64(checks.flags), halves[:, layout.page_type // 4]
        mapcount, mapping = page_type != _NO_TYPE, rows[:, layout.mapping // WORD_BYTES] != 0
        refcount = halves[:, layout.refcount // 4] != 0
        if checks.clears_type:
            heads = slice(None) if single else slice(1)
            mapcount[heads] &= page_type[heads] < _LOWEST_TYPE
        refcount[slice(1) if compound else slice(None)] = False
        if compound:
            flags[1] &= np.uint64(~checks.first_tail & _ALL_ONES)
            mapping[1:] = False  # free_tail_page_prepare() clears it
        reported = all_flags == 0  # not initialized
        for reason, wrong in (
            (_FLAGS_SET, flags != 0),
            (_REFCOUNT, refcount),
            (_MAPPING, mapping),
            (_MAPCOUNT, mapcount),
        ):
            slots = np.flatnonzero(wrong & ~reported)
            reported |= wrong
            if slots.size:
                yield reason, slots

    def prepare(self, cpu: Cpu, pfn: int, order: int, bad: list[BadStructPages]) -> None:
        """Clear the struct pages of a block that is freed, through ``cpu``; ``bad``: what :meth:`find` has found.

        The flags of a struct page that the kernel reports stay, and so does the head of a block that it keeps.
        """
        pages, layout = self._pages, self._layout
        compound = self.is_compound(pfn)
        keeps = np.zeros(1 << order, dtype=np.bool_)
        lost = [one for one in bad if one.reported]
        for one in lost:
            if one.reason in {_MAPCOUNT, _MAPPING, _REFCOUNT, _FLAGS_SET}:
                keeps[one.pfns - pfn] = True
        any_kept = bool(keeps.any())

        def clear(words: Words, done: int) -> None:
            if compound:
                words[:, layout.mapping // WORD_BYTES] = 0
                words[:, layout.compound_head // WORD_BYTES] = 0
            flags = words[:, layout.flags // WORD_BYTES]
            if any_kept:
                flags[~keeps[1 + done : 1 + done + len(words)]] &= self._kept
            else:
                flags &= self._kept

        if compound:
            first = pages.va(pfn + 1) + layout.flags
            cpu.store_word(first, cpu.load_word(first) & ~self._checks.first_tail & _ALL_ONES)
        edit_struct_pages(cpu, pages, pages.va(pfn + 1), (1 << order) - 1, clear)
        if not lost:
            head = pages.va(pfn) + layout.flags
            cpu.store_word(head, cpu.load_word(head) & int(self._kept))

    def describe(self, pfn: int) -> str:
        """Return the fields of a struct page that are checked, with what they mean."""
        pages, layout = self._pages, self._layout
        flags, link, mapping, private = (
            pages.word(pfn, offset) for offset in (layout.flags, layout.compound_head, layout.mapping, layout.private)
        )
        page_type = int(pages.memory.halves[pages.locate_one(pfn, layout.page_type) >> 2])
        names = ", ".join(name for name, bit in _named_flags(layout) if flags >> bit & 1)
        typed = layout.hugetlb_mark.page == 0 and page_type == layout.hugetlb_set
        return (
            f"VA {pages.va(pfn):#x}, flags {flags:#x}{names and f' ({names})'}, compound_head {link:#x}, "
            f"mapping {mapping:#x}{' (TAIL_MAPPING)' * (mapping == layout.tail_mapping)}, "
            f"page_type {page_type:#x}{' (hugetlb)' * typed}, private {private:#x}"
        )


def _named_flags(layout: StructPageLayout) -> tuple[tuple[str, int], ...]:
    return ("PG_head", layout.pg_head), ("PG_reserved", layout.pg_reserved), ("PG_hwpoison", layout.pg_hwpoison)
