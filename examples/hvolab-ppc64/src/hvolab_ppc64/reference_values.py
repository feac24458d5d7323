# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of powerpc's radix tables, written out: entries by the kernel's headers, some as bytes in memory."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, ModeFigures, PgprotRole

_PGTABLE = "arch/powerpc/include/asm/book3s/64/pgtable.h, v6.12"
_RADIX = "arch/powerpc/include/asm/book3s/64/radix.h, v6.12"
_BYTES = "arch/powerpc/include/asm/pgtable-be-types.h, v6.12: the same in memory, of either kernel"
_MANUAL = "Power ISA v3.1B, Book III, 6.7.10"
_LEAF, _TABLE, _NONE, _ILLEGAL = EntryKind.LEAF, EntryKind.TABLE, EntryKind.NONE, EntryKind.ILLEGAL
_KERNEL, _RO, _LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE

EXAMPLES = (
    Example("4K", "pte", 0xC0000000054E418E, _LEAF, 0x54E4, _KERNEL, source=f"{_PGTABLE}: PAGE_KERNEL"),
    Example("4K", "pte", bytes.fromhex("c0 00 00 00 05 4e 41 8e"), _LEAF, 0x54E4, _KERNEL, source=_BYTES),
    Example("4K", "pte", 0xC0000000054E410C, _LEAF, 0x54E4, _RO, source=f"{_PGTABLE}: PAGE_KERNEL_RO"),
    Example("4K", "pmd", 0xC00000000560018E, _LEAF, 0x5600, _LARGE, source="radix_pgtable.c: vmemmap_set_pmd()"),
    Example("4K", "pmd", 0x80000000054E4009, _TABLE, 0x54E4, PgprotRole.TABLE, source=f"{_RADIX}: RADIX_PMD_VAL_BITS"),
    Example("64K", "pte", 0xC000000054E4018E, _LEAF, 0x54E4, _KERNEL, source=f"{_PGTABLE}: PAGE_KERNEL"),
    Example("64K", "pte", bytes.fromhex("c0 00 00 00 54 e4 01 0c"), _LEAF, 0x54E4, _RO, source=_BYTES),
    Example("64K", "pmd", 0x80000000054E0005, _TABLE, 0x54E, PgprotRole.TABLE, source=f"{_RADIX}: RADIX_PMD_VAL_BITS"),
    Example("64K", "pmd", 0x80000000054E4105, _TABLE, 0x54E, source="radix-64k.h: a fragment of 256 bytes in a page"),
    Example(
        "64K", "pud", bytes.fromhex("80 00 00 00 05 4e 40 09"), _TABLE, 0x54E, source="radix-64k.h: 4 KiB in a page"
    ),
    Example("64K", "pgd", 0x80000000054E0009, _TABLE, 0x54E, PgprotRole.TABLE, source=f"{_RADIX}: RADIX_PGD_VAL_BITS"),
    Example("4K", "pte", 0x60000000054E418E, _NONE, source=f"{_PGTABLE}: _PAGE_INVALID, being changed"),
    Example("4K", "pmd", 0x80000000054E4005, _ILLEGAL, source=f"{_MANUAL}: NLS of another page size"),
    Example("4K", "pte", 0xC0000000054E41CE, _ILLEGAL, source=f"{_MANUAL}: bit 6 is reserved"),
    Example(
        "4K", "pmd", 0xC0000000054E418E, _ILLEGAL, source=f"{_MANUAL}: a leaf of 2 MiB begins at a multiple of that"
    ),
    Example(
        "64K", "pmd", 0x80000000054E4085, _ILLEGAL, source=f"{_MANUAL}: bits 7 to 5 of a directory entry are reserved"
    ),
)

_BASES = (0xC000000000000000, 0xC00C000000000000)
_LAYOUT = f"{_RADIX}: RADIX_VMEMMAP_START; Documentation/arch/powerpc/vmemmap_dedup.rst, one frame more than DAX saves"
FIGURES = (
    ModeFigures("64K", *_BASES, ((0x200000, 0), (0x40000000, 15)), _LAYOUT),
    ModeFigures("4K", *_BASES, ((0x200000, 7), (0x40000000, 4095)), _LAYOUT),
)
