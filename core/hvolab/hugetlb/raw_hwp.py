# SPDX-License-Identifier: GPL-2.0-only
"""Records of the poisoned pages of a hugetlb folio. Kernel: struct raw_hwp_page in mm/memory-failure.c, v6.12.

A folio with poisoned pages has PG_hwpoison on its head, and a singly linked list of records from a field of its tails,
both in the vmemmap page that HVO keeps. A record is two words: the next record, and the VA of the struct page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hvolab.arithmetic import WORD_BYTES
from hvolab.hugetlb.folio import FolioPages

#: Error of a page that is poisoned; the errno module of Python has no name for it before 3.14.
EHWPOISON: Final = 133
#: Bytes of a record.
RECORD_SIZE: Final = 2 * WORD_BYTES


def raw_hwp_pages(pages: FolioPages, folio: int) -> list[tuple[int, int]]:
    """Return the VA of each record of a folio with the VA of its struct page, the newest first."""
    found: list[tuple[int, int]] = []
    record = pages.cpu.load_word(_list_head(pages, folio))
    while record:
        if any(record == known for known, _ in found):
            break  # a record that is on the list twice: the rules report what it causes
        found.append((record, pages.cpu.load_word(record + WORD_BYTES)))
        record = pages.cpu.load_word(record)
    return found


def set_hwpoison(pages: FolioPages, folio: int, page: int, allocate: Callable[[], int] | None) -> int:
    """Mark a folio as poisoned, and record the struct page; return 0, or -EHWPOISON if the folio was poisoned before.

    allocate  return the VA of a new record; None: none can be allocated, and the folio gets HPG_raw_hwp_unreliable
    Left out: num_poisoned_pages.
    Kernel: folio_set_hugetlb_hwpoison(), v6.12; hugetlb_update_hwpoison(), Debian's 6.12.117 and v7.2.
    """
    before = -EHWPOISON if pages.poisoned(folio) else 0
    pages.set_poisoned(folio, value=True)
    if pages.flag(folio, pages.layout.hpg_raw_hwp_unreliable):
        return -EHWPOISON
    if any(page == known for _, known in raw_hwp_pages(pages, folio)):
        return -EHWPOISON
    head = _list_head(pages, folio)
    if allocate is None:
        pages.set_flag(folio, pages.layout.hpg_raw_hwp_unreliable, value=True)
        pages.cpu.store_word(head, 0)
        return before
    record = allocate()
    pages.cpu.store_word(record + WORD_BYTES, page)
    pages.cpu.store_word(record, pages.cpu.load_word(head))
    pages.cpu.store_word(head, record)
    return before


def clear_hwpoison(pages: FolioPages, folio: int) -> None:
    """Move PG_hwpoison from the head of a folio to the struct pages on record; nothing of a folio that is optimized.

    Left out: the records are not freed. Kernel: folio_clear_hugetlb_hwpoison(), v6.12.
    """
    layout = pages.layout
    if pages.flag(folio, layout.hpg_raw_hwp_unreliable) or pages.flag(folio, layout.hpg_vmemmap_optimized):
        return
    pages.set_poisoned(folio, value=False)
    recorded = raw_hwp_pages(pages, folio)
    pages.cpu.store_word(_list_head(pages, folio), 0)
    for _, page in recorded:
        pages.set_poisoned(page, value=True)


def _list_head(pages: FolioPages, folio: int) -> int:
    """Return the VA of the word that has the first record. Kernel: raw_hwp_list_head()."""
    field = pages.layout.hugetlb_hwpoison
    return folio + field.page * pages.layout.size + field.offset
