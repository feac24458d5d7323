"""Head and first tail struct pages of many huge pages, read at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab_vmcore.core.arrays import Flags, Ints, Words, held_frames
from hvolab_vmcore.core.snapshot import CoreSnapshot


@dataclass(frozen=True, eq=False)
class HeadPages:
    """Fields of the first two struct pages of each folio; n rows.

    there      the core holds them; where it does not, the other columns are False or 0
    head       PG_head is set
    hugetlb    the type is hugetlb's
    optimized  PG_head and HPG_vmemmap_optimized are set; meaningful for hugetlb folios only
    orders     folio order, 0 where PG_head is not set
    """

    there: Flags
    head: Flags
    hugetlb: Flags
    optimized: Flags
    orders: Ints


def read_heads(snapshot: CoreSnapshot, frames: Ints) -> HeadPages:
    """Read the heads in ``frames``; a head is the first struct page of its vmemmap page."""
    memory, layout = snapshot.memory, snapshot.struct_pages.layout
    there = held_frames(memory, frames)
    rows = np.where(there, frames - memory.first_pfn, 0)

    def word(offset: int) -> Words:
        return np.where(there, memory.pages[rows, offset // WORD_BYTES], 0).astype(np.uint64)

    halves = memory.halves[(rows << memory.page_shift) // 4 + layout.page_type // 4]
    head = (word(layout.flags) >> np.uint64(layout.pg_head) & np.uint64(1)).astype(np.bool_)
    optimized = (word(layout.private) >> np.uint64(layout.hpg_vmemmap_optimized) & np.uint64(1)).astype(np.bool_)
    orders = memory.octets[(rows << memory.page_shift) + layout.folio_order].astype(np.int64)
    return HeadPages(
        there=there,
        head=head,
        hugetlb=there & head & ((halves >> np.uint32(24)) == layout.page_type_hugetlb),
        optimized=optimized & head,
        orders=np.where(there & head, orders, 0),
    )
