"""Struct pages of hugetlb folios, as hugetlb writes them before it calls HVO."""

from __future__ import annotations

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Machine

_HALF, _ALL_ONES = WORD_BYTES // 2, (1 << 64) - 1
_TYPE_SHIFT = 24


def prepare_folio(machine: Machine, pfn: int, order: int) -> None:
    """Write the fields that HVO and a comparison read, in the first vmemmap page of a folio.

    Kernel: prep_compound_page() in mm/page_alloc.c and init_new_hugetlb_folio() in mm/hugetlb.c, v6.12.
    Raises AbsentMemoryError where the core does not hold them.
    """
    pages, memory = machine.struct_pages, machine.memory
    layout = pages.layout
    count = min(1 << order, machine.target.mode.page_size // layout.size)
    start = int(pages.locate(np.array([pfn], dtype=np.int64))[0])
    words = memory.words[start // WORD_BYTES : (start + count * layout.size) // WORD_BYTES].reshape(count, -1)
    halves = memory.halves[start // _HALF : (start + count * layout.size) // _HALF].reshape(count, -1)
    head = pages.va(pfn)
    words[0, layout.flags // WORD_BYTES] |= np.uint64(1 << layout.pg_head)
    words[0, layout.private // WORD_BYTES] = 0
    halves[0, layout.page_type // _HALF] = layout.page_type_hugetlb << _TYPE_SHIFT
    halves[0, layout.refcount // _HALF] = 0
    words[1:, layout.compound_head // WORD_BYTES] = head | 1
    words[1:, layout.private // WORD_BYTES] = 0
    words[layout.used_subpages :, layout.mapping // WORD_BYTES] = layout.tail_mapping
    first_tail = memory.words[start // WORD_BYTES :]
    first_tail[layout.folio_large_mapcount // WORD_BYTES] = _ALL_ONES
    first_tail[layout.folio_nr_pages // WORD_BYTES] = 1 << order
    memory.octets[start + layout.folio_order] = order
