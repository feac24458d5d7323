# SPDX-License-Identifier: GPL-2.0-only
"""GFP flags, and the masks that HVO and hugetlb allocate with.

The flags are an enum for readers; the masks are plain ints, because every allocation tests them, and an int is ten
times as fast as a member of an enum.
"""

from __future__ import annotations

import enum


class Gfp(enum.IntFlag):
    """One bit each of a GFP mask.

    Kernel: the ___GFP_ bits in include/linux/gfp_types.h, v6.12.
    """

    DMA = 0x1
    HIGHMEM = 0x2
    DMA32 = 0x4
    MOVABLE = 0x8
    RECLAIMABLE = 0x10
    HIGH = 0x20
    IO = 0x40
    FS = 0x80
    ZERO = 0x100
    DIRECT_RECLAIM = 0x400
    KSWAPD_RECLAIM = 0x800
    WRITE = 0x1000
    NOWARN = 0x2000
    RETRY_MAYFAIL = 0x4000
    NOFAIL = 0x8000
    NORETRY = 0x10000
    MEMALLOC = 0x20000
    COMP = 0x40000
    NOMEMALLOC = 0x80000
    HARDWALL = 0x100000
    THISNODE = 0x200000
    ACCOUNT = 0x400000


#: Allocations of process context: they may sleep, reclaim, do I/O and call into file systems.
GFP_KERNEL = int(Gfp.DIRECT_RECLAIM | Gfp.KSWAPD_RECLAIM | Gfp.IO | Gfp.FS)
#: Memory for user space that the kernel also reaches; bound by cpusets.
GFP_USER = GFP_KERNEL | int(Gfp.HARDWALL)
#: Memory for user space that the kernel need not reach.
GFP_HIGHUSER = GFP_USER | int(Gfp.HIGHMEM)
#: The same, and the kernel can move it: the only masks that reach ZONE_MOVABLE have these two bits.
GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | int(Gfp.MOVABLE)
#: Page tables of pte_alloc_one_kernel() in v6.12: the kernel's mask of this name, with pagetable_alloc()'s __GFP_COMP.
GFP_PGTABLE_KERNEL = GFP_KERNEL | int(Gfp.ZERO | Gfp.COMP)
#: The new head page of vmemmap_remap_free(): fail early, and without a warning.
GFP_VMEMMAP_HEAD = GFP_KERNEL | int(Gfp.NORETRY | Gfp.NOWARN)
#: The pages of a restored folio, in alloc_vmemmap_page_list(): retry, but not forever.
GFP_VMEMMAP_RESTORE = GFP_KERNEL | int(Gfp.RETRY_MAYFAIL)
#: Page tables and the pages of restored folios in v6.1: the latter from their node, or not at all.
GFP_PGTABLE_KERNEL_6_1 = GFP_KERNEL | int(Gfp.ZERO)
GFP_VMEMMAP_RESTORE_6_1 = GFP_KERNEL | int(Gfp.THISNODE | Gfp.NORETRY)
#: The page that tails share, in vmemmap_get_tail(), v7.2.
GFP_VMEMMAP_TAIL = GFP_KERNEL | int(Gfp.ZERO)
#: Folios of a pool, in alloc_buddy_hugetlb_folio().
GFP_HUGETLB = GFP_HIGHUSER_MOVABLE | int(Gfp.THISNODE | Gfp.COMP | Gfp.NOWARN | Gfp.RETRY_MAYFAIL)
#: Gigantic folios: their pages are those of a contiguous range, in v6.1, or a compound page.
GFP_GIGANTIC_6_1 = GFP_HIGHUSER | int(Gfp.THISNODE)
GFP_GIGANTIC = GFP_GIGANTIC_6_1 | int(Gfp.COMP | Gfp.NOWARN)

#: The bits that choose the zone.
GFP_ZONE_BITS = int(Gfp.DMA | Gfp.HIGHMEM | Gfp.DMA32 | Gfp.MOVABLE)
#: The bits that decide which zones are tried, and in which order.
GFP_PLACEMENT_BITS = GFP_ZONE_BITS | int(Gfp.THISNODE)

# Larger masks first: a mask is named by the largest that it contains.
_NAMED_MASKS = (
    ("GFP_HIGHUSER_MOVABLE", GFP_HIGHUSER_MOVABLE),
    ("GFP_HIGHUSER", GFP_HIGHUSER),
    ("GFP_USER", GFP_USER),
    ("GFP_KERNEL", GFP_KERNEL),
)

# The order in which gfp_types.h groups the flags: where, for what, how urgent, how hard to try, what else to do.
_DISPLAY_ORDER = (
    *(Gfp.DMA, Gfp.HIGHMEM, Gfp.DMA32, Gfp.MOVABLE),
    *(Gfp.RECLAIMABLE, Gfp.WRITE, Gfp.HARDWALL, Gfp.THISNODE, Gfp.ACCOUNT),
    *(Gfp.HIGH, Gfp.MEMALLOC, Gfp.NOMEMALLOC),
    *(Gfp.IO, Gfp.FS, Gfp.DIRECT_RECLAIM, Gfp.KSWAPD_RECLAIM, Gfp.RETRY_MAYFAIL, Gfp.NOFAIL, Gfp.NORETRY),
    *(Gfp.NOWARN, Gfp.ZERO, Gfp.COMP),
)


def describe(mask: int) -> str:
    """Return the mask as the kernel writes it: `GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN`.

    Bits without a name come last, as one hex number; an empty mask is `0`.
    """
    rest = int(mask)
    words = []
    for name, named in _NAMED_MASKS:
        if rest & named == named:
            words.append(name)
            rest &= ~named
            break
    for flag in _DISPLAY_ORDER:
        if rest & flag:
            words.append(f"__GFP_{flag.name}")
            rest &= ~int(flag)
    if rest or not words:
        words.append(hex(rest) if rest else "0")
    return "|".join(words)
