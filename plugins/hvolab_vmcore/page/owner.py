# SPDX-License-Identifier: GPL-2.0-only
"""Owner of a page: the huge page, vmemmap, page table, compound page or free block that it is part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from hvolab.machine import FrameState
from hvolab.serialize import Hex
from hvolab.units import format_size
from hvolab_vmcore.page.flags import known_flags, page_types
from hvolab_vmcore.page.words import StructPage, read_struct_page
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.scan import Scan

Role = Literal[
    "huge page head",
    "huge page tail",
    "shared tail",
    "fake head",
    "vmemmap page",
    "page table of the vmemmap",
    "compound head",
    "compound tail",
    "free",
    "reserved",
    "in use",
    "not in use",
    "no struct page",
    "cannot tell",
]
#: Largest order of a free block, plus one, where VMCOREINFO does not have it. Kernel: NR_PAGE_ORDERS, v6.12.
_ORDERS: Final = 11


@dataclass(frozen=True)
class Owner:
    """Owner of a page.

    role    what its struct page is, in a word
    text    the same in a sentence
    folio   PFN of the head of the huge page, compound page or free block that it is part of; null: of none
    order   log2 of its pages
    number  number of the struct page of the folio whose bytes these are; null: of none
    """

    role: Role
    text: str
    folio: Hex | None = None
    order: int | None = None
    number: int | None = None


def owner_of(scan: Scan, page: StructPage) -> Owner:
    """Return the owner of the page that a struct page describes."""
    if page.way.mapped is False:
        return Owner("no struct page", "the vmemmap is not mapped here: the kernel has no memory at this PFN")
    for huge in scan.huge_pages:
        index = int(np.searchsorted(huge.pfns, page.pfn, side="right")) - 1
        if index >= 0 and page.pfn < int(huge.pfns[index]) + (1 << huge.order):
            return _of_huge_page(scan, page, huge, index)
    if (found := _of_vmemmap(scan, page.pfn)) is not None:
        return found
    if page.data is None:
        why = "was not saved" if page.state is FrameState.NOT_SAVED else "is not in the dump"
        return Owner("cannot tell", f"{'a page table' if page.state is None else 'its struct page'} {why}")
    return _of_compound(scan, page) or _free(scan, page) or _by_flags(scan, page)


def _of_huge_page(scan: Scan, page: StructPage, huge: HugePages, index: int) -> Owner:
    """Return the owner of a page of a huge page; ``index`` is that of the huge page among those of its size."""
    mode, size = scan.snapshot.target.mode, page.layout.size
    head, sharing = int(huge.pfns[index]), Sharing(int(huge.sharing[index]))
    number = page.pfn - head
    kind = {Sharing.NONE: "huge page that is not optimized", Sharing.DAX: "folio of a DAX device"}.get(
        sharing, "optimized huge page" if sharing is not Sharing.UNKNOWN else "huge page or folio of a DAX device"
    )
    whole = f"{kind}, {format_size(mode.page_size << huge.order)} at PFN {head:#x}"
    if number == 0:
        return Owner("huge page head", f"head of the {whole}", head, huge.order, 0)
    inside, vmemmap_page = number * size % mode.page_size // size, number * size // mode.page_size
    first = 2 if sharing is Sharing.SECOND else 1
    if vmemmap_page < first or sharing is Sharing.NONE:
        return Owner("huge page tail", f"tail {number} of the {whole}", head, huge.order, number)
    frame = -1 if page.way.pa is None else page.way.pa >> mode.page_shift
    if frame != int(huge.shared[index]):
        text = f"tail {number} of the {whole}; its page of vmemmap does not map the frame of the other tails"
        return Owner("huge page tail", text, head, huge.order, number)
    if sharing is Sharing.HEAD and inside == 0:
        text = f"fake head in the {whole}: tail {number}, but the bytes are those of the head"
        return Owner("fake head", text, head, huge.order, 0)
    where = f"struct page {inside} of the frame {frame:#x} that the tails share"
    text = f"shared tail of the {whole}: tail {number}; the bytes are those of {where}"
    second = inside + mode.page_size // size
    return Owner("shared tail", text, head, huge.order, {Sharing.HEAD: inside, Sharing.SECOND: second}.get(sharing))


def _of_vmemmap(scan: Scan, pfn: int) -> Owner | None:
    """Return the owner of a frame that backs the vmemmap, or holds a page table on the way to it."""
    pages, shift = scan.pages, scan.snapshot.target.mode.page_shift
    rows = np.flatnonzero(pages.frames == pfn)
    if rows.size:
        per_page = (1 << shift) // scan.snapshot.struct_pages.layout.size
        first = int(pages.numbers[rows[0]]) * per_page
        more = f"; {rows.size - 1} more pages of vmemmap map it" if rows.size > 1 else ""
        text = f"backs the vmemmap at VA {pages.va(int(rows[0])):#x}: struct pages of PFN {first:#x} to"
        return Owner("vmemmap page", f"{text} {first + per_page - 1:#x}{more}")
    for tables in scan.walk.levels:
        for index in np.flatnonzero(tables.pas >> shift == pfn)[:1].tolist():
            va = scan.walk.origin + int(tables.offsets[index])
            text = f"holds the page table at level {tables.level.name} that maps VA {va:#x} and on"
            return Owner("page table of the vmemmap", text)
    return None


def _of_compound(scan: Scan, page: StructPage) -> Owner | None:
    """Return the owner of a page of a compound page that is not a huge page of a pool: THP, slab, and others."""
    if (va := page.head_va) is not None:
        head = (va - scan.snapshot.vmemmap) // page.layout.size
        if not 0 <= head <= page.pfn:
            return Owner(
                "compound tail", f"tail of a compound page whose head, at VA {va:#x}, is not a struct page below it"
            )
        return Owner("compound tail", f"tail {page.pfn - head} of the compound page at PFN {head:#x}", head)
    if not page.has_head_flag:
        return None
    first = read_struct_page(scan.snapshot, page.pfn + page.layout.folio_order.page)
    field = page.layout.folio_order
    order = first.value(field.offset + (0 if first.order == "little" else field.octets - 1), 1)
    text = f"head of a compound page of {1 << order} pages that is not a huge page of a pool"
    if first.data is None or order >= 64:
        return Owner("compound head", "head of a compound page that is not a huge page of a pool", page.pfn)
    return Owner("compound head", text, page.pfn, order)


def _free(scan: Scan, page: StructPage) -> Owner | None:
    """Return the block of the page allocator's lists that holds the page, None where it is in none."""
    buddy = page_types(scan.snapshot).get("buddy")
    if buddy is None:
        return None
    info = scan.snapshot.core.vmcoreinfo
    orders = info.values.get("LENGTH(zone.free_area)", _ORDERS) if info is not None else _ORDERS
    for order in range(min(orders, 64)):
        first = page.pfn >> order << order
        head = page if first == page.pfn else read_struct_page(scan.snapshot, first)
        if head.data is None or not buddy.matches(head.value(page.layout.page_type, 4)):
            continue
        size = head.word(page.layout.private)
        if order <= size < orders:
            where = "first page" if first == page.pfn else f"page {page.pfn - first}"
            return Owner("free", f"{where} of a free block of order {size} at PFN {first:#x}", first, size)
    return None


def _by_flags(scan: Scan, page: StructPage) -> Owner:
    """Return the owner of a single page, as its flags, type and reference count show it."""
    names = {name for name, bit in known_flags(scan.snapshot).items() if page.flags >> bit & 1}
    kinds = [
        name for name, one in page_types(scan.snapshot).items() if one.matches(page.value(page.layout.page_type, 4))
    ]
    count = page.value(page.layout.refcount, 4)
    poisoned = "; a memory error was reported for it" if "PG_hwpoison" in names else ""
    if "PG_reserved" in names:
        return Owner("reserved", f"reserved: memory that the page allocator does not own{poisoned}")
    kind = f", {kinds[0]}" if kinds else ""
    if count:
        return Owner("in use", f"allocated: reference count {count}{kind}{poisoned}")
    text = "reference count 0, and in no free block: on a list of one CPU, isolated, or without an owner"
    return Owner("not in use", f"{text}{kind}{poisoned}")
