"""Makes free pages into hugetlb folios, as hugetlb does before it calls HVO: only what HVO and a comparison look at."""

from __future__ import annotations

import numpy as np

from hvolab.machine import Machine

_WORD, _HALF, _ALL_ONES = 8, 4, (1 << 64) - 1
_TYPE_SHIFT = 24


def prepare_folio(machine: Machine, pfn: int, order: int) -> None:
    """Write the struct pages of a folio's head page: all others of an optimized folio are copies of those.

    Kernel: prep_compound_page() in mm/page_alloc.c and init_new_hugetlb_folio() in mm/hugetlb.c, v6.12.
    Raises AbsentMemoryError where the core does not hold them.
    """
    pages, memory = machine.struct_pages, machine.memory
    layout = pages.layout
    count = min(1 << order, machine.target.mode.page_size // layout.size)
    start = int(pages.locate(np.array([pfn], dtype=np.int64))[0])
    words = memory.words[start // _WORD : (start + count * layout.size) // _WORD].reshape(count, -1)
    halves = memory.halves[start // _HALF : (start + count * layout.size) // _HALF].reshape(count, -1)
    head = pages.va(pfn)
    words[0, layout.flags // _WORD] |= np.uint64(1 << layout.pg_head)
    words[0, layout.private // _WORD] = 0
    halves[0, layout.page_type // _HALF] = layout.page_type_hugetlb << _TYPE_SHIFT
    halves[0, layout.refcount // _HALF] = 0
    words[1:, layout.compound_head // _WORD] = head | 1
    words[1:, layout.private // _WORD] = 0
    words[layout.used_subpages :, layout.mapping // _WORD] = layout.tail_mapping
    first_tail = memory.words[start // _WORD :]
    first_tail[layout.folio_large_mapcount // _WORD] = _ALL_ONES
    first_tail[layout.folio_nr_pages // _WORD] = 1 << order
    memory.octets[start + layout.folio_order] = order
