# SPDX-License-Identifier: GPL-2.0-only
"""Demands of the page allocator on the struct pages of a block that is freed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FreeChecks:
    """Demands of one kernel. Kernel: free_pages_prepare(), free_page_is_bad() in mm/page_alloc.c, v6.12.

    flags        page flags of which none may be set: PAGE_FLAGS_CHECK_AT_FREE, without the generation of LRU pages
    first_tail   flags of the first tail that belong to the folio, and are cleared before: PAGE_FLAGS_SECOND
    tails        tails of a compound page are checked too: TAIL_MAPPING, compound_head, the fields of the first tails
    optional     the kernel's ``check_pages`` switches the checks; else it always makes those of single struct pages
    clears_type  a page type of the head is cleared, and not reported
    """

    flags: int
    first_tail: int
    tails: bool = True
    optional: bool = True
    clears_type: bool = False


def _bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


#: PG_locked, PG_lru, PG_active, PG_slab, PG_reserved, PG_private, PG_private_2, PG_writeback, PG_unevictable and
#: PG_mlocked: the mask in free_page_is_bad_report() of Debian's 6.1, which is built without CONFIG_DEBUG_VM.
FREE_CHECKS_6_1 = FreeChecks(
    flags=_bits(0, 4, 5, 9, 12, 13, 14, 15, 20, 21), first_tail=1 << 8, tails=False, optional=False
)
#: The same without PG_slab, by the mask in free_page_is_bad_report() of Debian's 6.12.117.
FREE_CHECKS_6_12 = FreeChecks(flags=_bits(0, 1, 5, 8, 13, 14, 15, 18, 19), first_tail=_bits(*range(10), 16))
#: PG_mlocked is bit 20: the mask in free_pages_prepare() of Debian's 7.2.13.
FREE_CHECKS_7_2 = FreeChecks(
    flags=_bits(0, 1, 5, 8, 13, 14, 15, 18, 20), first_tail=_bits(*range(10), 16), clears_type=True
)
