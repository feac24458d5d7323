# SPDX-License-Identifier: GPL-2.0-only
"""Layout of struct page, and of its flags word."""

from __future__ import annotations

from dataclasses import dataclass, field

from hvolab.arithmetic import WORD_BYTES


@dataclass(frozen=True)
class StructPageLayout:
    """Offsets and bits of ``struct page`` and of a hugetlb folio, as one kernel has them.

    Kernel: struct page and struct folio in include/linux/mm_types.h, enum pageflags in
    include/linux/page-flags.h, v6.12; offsets from the BTF of Debian's 6.12 kernels.

    size                       bytes of a struct page
    flags … refcount           offsets; four-byte fields are page_type and refcount
    PG_… and HPG_…             bit numbers
    last_cpupid_… to node_…    positions of last_cpupid, zone and node in ``flags``
    used_subpages              struct pages whose fields hugetlb uses (__NR_USED_SUBPAGE)
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
    folio_order: int = 64
    folio_large_mapcount: int = 64 + 16
    folio_nr_pages: int = 64 + 32
    pg_head: int = 6
    pg_referenced: int = 2
    pg_owner_priv_1: int = 10
    pg_reserved: int = 13
    hpg_migratable: int = 1
    hpg_freed: int = 3
    hpg_vmemmap_optimized: int = 4
    last_cpupid_shift: int = 30
    last_cpupid_bits: int = 21
    zone_shift: int = 51
    zone_bits: int = 3
    node_shift: int = 54
    node_bits: int = 10
    used_subpages: int = 3
    reset_struct_pages: int = 3
    #: mapping of a tail page: TAIL_MAPPING, 0x400 above POISON_POINTER_DELTA
    tail_mapping: int = 0xDEAD000000000400
    #: whether the tails of gigantic folios have it too
    gigantic_tail_mapping: bool = True
    #: top byte of page_type for a hugetlb folio: PGTY_hugetlb
    page_type_hugetlb: int = 0xF4
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

        Kernel: set_compound_head() in include/linux/page-flags.h, v6.12 and v7.2.
        """
        if self.masks_compound:
            return ((1 << 64) - (self.size << order)) | 1
        return head | 1

    def links(self, node: int, zone: int) -> int:
        """Return the flags of a page just initialized: node, zone, no last CPU. Kernel: set_page_links()."""
        no_cpu = ((1 << self.last_cpupid_bits) - 1) << self.last_cpupid_shift
        return node << self.node_shift | zone << self.zone_shift | no_cpu
