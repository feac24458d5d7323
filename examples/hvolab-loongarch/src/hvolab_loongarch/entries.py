# SPDX-License-Identifier: GPL-2.0-only
"""LoongArch64 page-table entries.

LoongArch Reference Manual, volume 1, section 5.4.5 (page-table entry formats of basic and huge pages). The software
bits are the kernel's, arch/loongarch/include/asm/pgtable-bits.h, v6.12.
"""

from __future__ import annotations

from hvolab.arch import AddressPart, EntryForm, EntryFormat, EntryKind, Field, Match, values

PA_BITS = 48
V, D = 1 << 0, 1 << 1
NO_READ, NO_EXEC = 1 << 61, 1 << 62
_HUGE = 1 << 6
#: Upper bits of the VAs of DMW1, the kernel's window onto all memory: a table entry holds the table's VA in it.
_WINDOW, _WINDOW_SHIFT = 0x9, 60
_WINDOW_MASK = 0xF << _WINDOW_SHIFT
_MANUAL = "LoongArch Reference Manual, volume 1, section 5.4.5"

_LOW = (
    Field("V", 0, 1, "valid; the kernel's ACCESSED, too"),
    Field("D", 1, 1, "dirty: a store without it raises the page-modification exception"),
    Field("PLV", 2, 2, "privilege level: 0 kernel, 3 user"),
    Field("MAT", 4, 2, "memory access type: 0 strongly ordered uncached, 1 coherent cached, 2 weakly ordered uncached"),
)
_MIDDLE = (
    Field("P", 7, 1, "software: present"),
    Field("W", 8, 1, "software: writable"),
    Field("MODIFIED", 9, 1, "software: dirty"),
    Field("PROTNONE", 10, 1, "software: PROT_NONE"),
    Field("SPECIAL", 11, 1, "software: special"),
)
_HIGH = (
    Field("DEVMAP", 59, 1, "software: device memory with struct pages"),
    Field("PRESENT_INVALID", 60, 1, "software: a huge page made invalid by pmd_mkinvalid()"),
    Field("NR", 61, 1, "not readable"),
    Field("NX", 62, 1, "not executable"),
    Field("RPLV", 63, 1, "only the privilege level PLV may access, not those above it"),
)


def _table(levels: tuple[str, ...], page_shift: int) -> EntryForm:
    """Return a plain pointer: upper bits of the window, bit 6 clear because a table fills a page."""
    return EntryForm(
        EntryKind.TABLE,
        levels,
        (Match(_WINDOW_MASK | _HUGE, _WINDOW << _WINDOW_SHIFT),),
        (AddressPart(page_shift, PA_BITS - page_shift, page_shift),),
        (Field("WINDOW", _WINDOW_SHIFT, 4, "upper bits (VSEG) of the table's VA in the direct-mapped window: 9"),),
        source="arch/loongarch/include/asm/pgalloc.h, pmd_populate_kernel(); LDDIR drops the bits above the PA width",
        constant=values(WINDOW=_WINDOW),
    )


def entry_format(tables: tuple[str, ...], page_shift: int, huge_shift: int) -> EntryFormat:
    """Return the format of a page size; the last of ``tables`` may hold leaves of ``2 ** huge_shift`` bytes."""
    page = EntryForm(
        EntryKind.LEAF,
        ("pte",),
        (Match(V, V),),
        (AddressPart(page_shift, PA_BITS - page_shift, page_shift),),
        (*_LOW, Field("G", 6, 1, "global"), *_MIDDLE, *_HIGH),
        source=f"{_MANUAL}, basic page",
    )
    huge = EntryForm(
        EntryKind.LEAF,
        tables[-1:],
        (Match(V | _HUGE, V | _HUGE),),
        (AddressPart(huge_shift, PA_BITS - huge_shift, huge_shift),),
        (*_LOW, Field("H", 6, 1, "1: a huge page"), *_MIDDLE, Field("G", 12, 1, "global (HGLOBAL)"), *_HIGH),
        source=f"{_MANUAL}, huge page",
        constant=values("H"),
    )
    pointer = Match(_WINDOW_MASK | _HUGE, _WINDOW << _WINDOW_SHIFT)
    return EntryFormat(
        valid=Match(V, V),
        # a pointer has no valid bit; hvolab has 0 for the kernel's pointers to invalid_pte_table and its kin
        valid_at=tuple((level, (pointer, *huge.recognize) if level in huge.levels else (pointer,)) for level in tables),
        forms=(_table(tables, page_shift), huge, page),
    )
