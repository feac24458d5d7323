"""What the struct pages at the start of huge pages say, read in one go for many of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab_vmcore.core.snapshot import CoreSnapshot

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_WORD = 8


@dataclass(frozen=True, eq=False)
class HeadPages:
    """The first two struct pages of each folio, as far as the core holds them; n rows.

    there      whether it does; elsewhere the other columns are False or 0
    head       PG_head is set
    hugetlb    the type is hugetlb's
    optimized  HPG_vmemmap_optimized is set, which means something for hugetlb folios only
    orders     folio order, 0 where PG_head is not set
    """

    there: Flags
    head: Flags
    hugetlb: Flags
    optimized: Flags
    orders: Ints


def read_heads(snapshot: CoreSnapshot, frames: Ints) -> HeadPages:
    """Read the heads whose vmemmap pages map ``frames``; a head is the first struct page of its vmemmap page."""
    memory, layout = snapshot.memory, snapshot.struct_pages.layout
    index = frames - memory.first_pfn
    there = (frames >= 0) & (index >= 0) & (index < memory.frames)
    if memory.present is not None:
        there[there] = memory.present[index[there]]
    rows = np.where(there, index, 0)

    def word(offset: int) -> npt.NDArray[np.uint64]:
        return np.where(there, memory.pages[rows, offset // _WORD], 0).astype(np.uint64)

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
