# SPDX-License-Identifier: GPL-2.0-only
"""Layout of struct page, of its flags word, and of the fields of a folio in its first struct pages."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from hvolab.arithmetic import WORD_BYTES
from hvolab.release.free_checks import FREE_CHECKS_6_12, FreeChecks

_OCTET_BITS = 8


class WordPlace(NamedTuple):
    """Bits of a word of memory: offset of the word from the head's struct page, shift, and mask after the shift."""

    offset: int
    shift: int
    mask: int

    def get(self, word: int) -> int:
        """Return the value in a word."""
        return word >> self.shift & self.mask

    def put(self, word: int, value: int) -> int:
        """Return a word with a value stored in it."""
        return word & ~(self.mask << self.shift) | (value & self.mask) << self.shift


@dataclass(frozen=True)
class FolioField:
    """A field of a folio.

    page    struct page that holds it, 0: the head's
    offset  of its first byte in that struct page
    octets  its bytes
    bits    so many of its bits are meant, from ``low`` on; 0: all
    low     lowest bit that is meant
    member  its name in struct folio; empty: it has none
    """

    page: int
    offset: int
    octets: int = WORD_BYTES
    bits: int = 0
    member: str = ""
    low: int = 0

    def place(self, size: int, byte_order: str) -> WordPlace:
        """Return its place in a word, if it is not larger; ``size`` is that of a struct page."""
        first = self.offset % WORD_BYTES
        octet = first if byte_order == "little" else WORD_BYTES - first - self.octets
        mask = (1 << (self.bits or self.octets * _OCTET_BITS - self.low)) - 1
        return WordPlace(self.page * size + self.offset - first, octet * _OCTET_BITS + self.low, mask)

    def low_byte(self, size: int, byte_order: str) -> int:
        """Return the offset of its lowest byte from the head's struct page; ``size`` is that of a struct page."""
        return self.page * size + self.offset + (0 if byte_order == "little" else self.octets - 1)


class FolioValue(enum.Enum):
    """A value that depends on the folio."""

    ORDER = "order"
    PAGES = "number of pages"
    EMPTY_LIST = "links of an empty list"  #: of a field of two words

    def __repr__(self) -> str:
        return str(self)  # a name, so that a signature that has it as a default can be read


@dataclass(frozen=True)
class FolioStore:
    """A store to a field of a folio that becomes a compound page.

    gigantic  whether it is done for gigantic folios, too
    reason    the words in which the page allocator reports another value when the folio is freed; empty: it does not
    """

    field: FolioField
    value: int | FolioValue
    gigantic: bool = True
    reason: str = ""


#: Words of free_tail_page_prepare() in mm/page_alloc.c.
LARGE_MAPCOUNT = "nonzero large_mapcount"
ENTIRE_MAPCOUNT = "nonzero entire_mapcount"
NR_PAGES_MAPPED = "nonzero nr_pages_mapped"
PINCOUNT = "nonzero pincount"
DEFERRED_LIST = "on deferred list"
#: -1 in four bytes, a mapcount of 0.
MINUS_ONE = (1 << 32) - 1
_ORDER = FolioField(1, 0, bits=_OCTET_BITS, member="_flags_1")


@dataclass(frozen=True)
class StructPageLayout:
    """Offsets and bits of ``struct page`` and of a hugetlb folio, as one kernel has them.

    Kernel: struct page and struct folio in include/linux/mm_types.h, enum pageflags in
    include/linux/page-flags.h, v6.12; offsets from the BTF of Debian's 6.12 kernels.

    size                       bytes of a struct page
    flags … refcount           offsets; four-byte fields are page_type and refcount
    index                      word by which a boot page is recognized
    PG_… and HPG_…             bit numbers
    last_cpupid_… to node_…    positions of last_cpupid, zone and node in ``flags``
    reset_struct_pages         struct pages that a restored tail page gets reset (NR_RESET_STRUCT_PAGE)
    """

    size: int = 64
    flags: int = 0
    lru_next: int = 8
    lru_prev: int = 16
    compound_head: int = 8
    mapping: int = 24
    index: int = 32
    private: int = 40
    page_type: int = 48
    refcount: int = 52
    pg_head: int = 6
    pg_referenced: int = 2
    pg_owner_priv_1: int = 10
    pg_reserved: int = 13
    pg_hwpoison: int = 20
    hpg_restore_reserve: int = 0
    hpg_migratable: int = 1
    hpg_temporary: int = 2
    hpg_freed: int = 3
    hpg_vmemmap_optimized: int = 4
    hpg_raw_hwp_unreliable: int = 5
    last_cpupid_shift: int = 30
    last_cpupid_bits: int = 21
    zone_shift: int = 51
    zone_bits: int = 3
    node_shift: int = 54
    node_bits: int = 10
    reset_struct_pages: int = 3
    #: mapping of a tail page: TAIL_MAPPING, 0x400 above POISON_POINTER_DELTA
    tail_mapping: int = 0xDEAD000000000400
    #: whether tails of gigantic folios have it, too
    gigantic_tail_mapping: bool = True
    folio_order: FolioField = _ORDER
    #: stores by which a page becomes a compound page. Kernel: prep_compound_head() in mm/internal.h
    compound_stores: tuple[FolioStore, ...] = (
        FolioStore(_ORDER, FolioValue.ORDER),
        FolioStore(FolioField(1, 16, 4, member="_large_mapcount"), MINUS_ONE, reason=LARGE_MAPCOUNT),
        FolioStore(FolioField(1, 20, 4, member="_entire_mapcount"), MINUS_ONE, reason=ENTIRE_MAPCOUNT),
        FolioStore(FolioField(1, 24, 4, member="_nr_pages_mapped"), 0, reason=NR_PAGES_MAPPED),
        FolioStore(FolioField(1, 28, 4, member="_pincount"), 0, reason=PINCOUNT),
        FolioStore(FolioField(1, 32, 4, member="_folio_nr_pages"), FolioValue.PAGES),
        FolioStore(
            FolioField(2, 16, 2 * WORD_BYTES, member="_deferred_list"), FolioValue.EMPTY_LIST, reason=DEFERRED_LIST
        ),
    )
    #: demands on struct pages that are freed
    free_checks: FreeChecks = FREE_CHECKS_6_12
    #: mark of a hugetlb folio, and its values: set, cleared, cleared where the folio is gigantic
    hugetlb_mark: FolioField = FolioField(0, 48, 4, member="page_type")
    hugetlb_set: int = 0xF4000000
    hugetlb_cleared: int = MINUS_ONE
    gigantic_cleared: int = MINUS_ONE
    #: fields of hugetlb that a new folio has zeroed: the subpool, the cgroup and its reservation
    hugetlb_zeroed: tuple[FolioField, ...] = (
        FolioField(2, 16, member="_hugetlb_subpool"),
        FolioField(2, 24, member="_hugetlb_cgroup"),
        FolioField(2, 32, member="_hugetlb_cgroup_rsvd"),
    )
    #: first record of the list of a folio's poisoned pages. Kernel: raw_hwp_list_head() in mm/memory-failure.c
    hugetlb_hwpoison: FolioField = FolioField(2, 40, member="_hugetlb_hwpoison")
    #: top byte of page_type for a page table: PGTY_table
    page_type_table: int = 0xF2
    #: page_type where no type is set and nothing is mapped: _mapcount of -1
    page_type_none: int = 0xFFFFFFFF
    #: values of ``index`` by which a boot page is recognized: SECTION_INFO, MIX_SECTION_INFO
    bootmem_types: tuple[int, ...] = (12, 13)
    #: refcount of a boot page that is registered in bootmem_info
    bootmem_refcount: int = 2
    #: the zones that the kernel has, by their numbers. Kernel: enum zone_type
    zones: tuple[str, ...] = ("DMA", "DMA32", "NORMAL", "MOVABLE", "DEVICE")
    #: whether a tail holds the mask that its own VA needs to become the head's, instead of the head, as from v7.1 on
    masks_compound: bool = False
    words: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.size // WORD_BYTES)

    @cached_property
    def used_subpages(self) -> int:
        """Struct pages of a folio up to the last that has no TAIL_MAPPING, because its ``mapping`` is another field."""
        fields = (*(store.field for store in self.compound_stores), *self.hugetlb_zeroed)
        return 1 + max(one.page for one in fields if one.offset <= self.mapping < one.offset + one.octets)

    @property
    def straddles(self) -> bool:
        """Return whether struct pages straddle pages of the vmemmap: their size is not a power of two, and HVO is off.

        Kernel: hugetlb_vmemmap_optimizable_size() in mm/hugetlb_vmemmap.h, v6.12.
        """
        return self.size & (self.size - 1) != 0

    @property
    def bootmem_mask(self) -> int:
        """Bits of the type in the word by which a boot page is recognized: all, or the lowest four of ``private``.

        Kernel: get_page_bootmem() in mm/bootmem_info.c, v6.12 and v7.2.
        """
        return 0xF if self.index == self.private else (1 << 64) - 1

    @property
    def pg_vmemmap_self_hosted(self) -> int:
        """Bit of a vmemmap page that is part of the memory that it describes."""
        return self.pg_owner_priv_1

    @property
    def pt_kernel(self) -> int:
        """Bit of a page table of the kernel itself. Kernel: enum pt_flags in include/linux/mm.h, v7.2."""
        return self.pg_referenced

    def node(self, flags: int) -> int:
        """Return the NUMA node in a flags word. Kernel: page_to_nid()."""
        return (flags >> self.node_shift) & ((1 << self.node_bits) - 1)

    def zone(self, flags: int) -> int:
        """Return the zone number in a flags word. Kernel: page_zonenum()."""
        return (flags >> self.zone_shift) & ((1 << self.zone_bits) - 1)

    def zone_number(self, name: str) -> int:
        """Return the number of a zone; memory of a zone that the kernel does not have is in ZONE_NORMAL."""
        return self.zones.index(name if name in self.zones else "NORMAL")

    def tail_link(self, head: int, order: int) -> int:
        """Return ``compound_head`` of a tail; ``head`` is the VA of the head, ``order`` that of the compound page.

        Kernel: set_compound_head() in include/linux/page-flags.h, v6.12 and v7.2; compound_info_has_mask(), v7.2, is
        false for struct pages whose size is not a power of two.
        """
        if self.masks_compound and not self.straddles:
            return ((1 << 64) - (self.size << order)) | 1
        return head | 1

    def head_from_link(self, page: int, link: int) -> int:
        """Return the VA of the head that the link of the struct page at VA ``page`` leads to; ``page`` without a link.

        Kernel: _compound_head() in include/linux/page-flags.h, v6.12 and v7.2.
        """
        if not link & 1:
            return page
        return page & link & ~1 if self.masks_compound and not self.straddles else link & ~1

    def links(self, node: int, zone: int) -> int:
        """Return the flags of a page just initialized: node, zone, no last CPU. Kernel: set_page_links()."""
        no_cpu = ((1 << self.last_cpupid_bits) - 1) << self.last_cpupid_shift
        return node << self.node_shift | zone << self.zone_shift | no_cpu
