# SPDX-License-Identifier: GPL-2.0-only
"""s390x table entries of dynamic address translation: region-third, segment and page tables.

z/Architecture Principles of Operation, SA22-7832, chapter 3, "Dynamic Address Translation", with EDAT-1 and EDAT-2. The
software bits are the kernel's, arch/s390/include/asm/pgtable.h, v6.12. Bits are numbered as hvolab numbers them, the
lowest 0; the manual numbers them from the highest.
"""

from __future__ import annotations

from hvolab.arch import AddressPart, EntryForm, EntryFormat, EntryKind, Field, Match, values

PAGE_SHIFT, SEGMENT_SHIFT, REGION3_SHIFT = 12, 20, 31
PA_BITS = 64
#: log2 of the bytes of a page table.
_PAGE_TABLE_SHIFT = 11

PROTECT = 1 << 9
NOEXEC = 1 << 8
#: An entry is valid if its invalid bit is clear: one bit in page tables, and another above them.
_INVALID, _PAGE_INVALID = 1 << 5, 1 << 10
_LARGE = 1 << 10
_TYPE = 0b11 << 2
_REGION3, _SEGMENT = 0b01 << 2, 0b00 << 2
_MANUAL = "z/Architecture Principles of Operation, chapter 3"

_TT = Field("TT", 2, 2, "table type: 0 segment table, 1 region-third table")
_COMMON = Field("COMMON", 4, 1, "common region or segment")
_I = Field("INVALID", 5, 1, "0: valid")
_P = Field("PROTECT", 9, 1, "read-only")
_FC = Field("LARGE", 10, 1, "format control: 1, a leaf")
_FC_TABLE = Field("LARGE", 10, 1, "format control: 0, a table")


def _leaf(level: str, shift: int, table_type: int) -> EntryForm:
    """Return a leaf above the page tables (format control 1): 1 MiB with EDAT-1, 2 GiB with EDAT-2."""
    return EntryForm(
        EntryKind.LEAF,
        (level,),
        (Match(_INVALID | _TYPE | _LARGE, table_type | _LARGE),),
        (AddressPart(shift, PA_BITS - shift, shift),),
        (
            Field("READ", 0, 1, "software: readable"),
            Field("WRITE", 1, 1, "software: writable"),
            _TT,
            _COMMON,
            _I,
            Field("NOEXEC", 8, 1, "instruction-execution protection"),
            _P,
            _FC,
            Field("FETCH", 11, 1, "fetch protection, if AV is 1"),
            Field("YOUNG", 12, 1, "software if AV is 0: accessed"),
            Field("DIRTY", 13, 1, "software if AV is 0: dirty"),
            Field("SOFT_DIRTY", 14, 1, "software if AV is 0: soft dirty"),
            Field("ACC", 15, 1, "software if AV is 0, else the highest bit of the access-control bits"),
            Field("AV", 16, 1, "access-control bits and fetch protection are used"),
        ),
        source=f"{_MANUAL}, region- and segment-table entries, FC = 1",
        constant=values(TT=table_type >> 2),
    )


_REGION3_TABLE = EntryForm(
    EntryKind.TABLE,
    ("pud",),
    (Match(_INVALID | _TYPE | _LARGE, _REGION3),),
    (AddressPart(PAGE_SHIFT, PA_BITS - PAGE_SHIFT, PAGE_SHIFT),),
    (
        Field("TL", 0, 2, "table length: 3, the segment table has all of its four parts"),
        _TT,
        _COMMON,
        _I,
        Field("TF", 6, 2, "table offset: 0, the segment table has its first part"),
        _P,
        _FC_TABLE,
    ),
    source=f"{_MANUAL}, region-table entries, FC = 0",
    constant=values(TT=_REGION3 >> 2, TL=3),
)

_SEGMENT_TABLE = EntryForm(
    EntryKind.TABLE,
    ("pmd",),
    (Match(_INVALID | _TYPE | _LARGE, _SEGMENT),),
    # a page table is half a frame, and may begin in its middle; hvolab allocates a frame for each
    (AddressPart(_PAGE_TABLE_SHIFT, PA_BITS - _PAGE_TABLE_SHIFT, _PAGE_TABLE_SHIFT),),
    (
        Field("SOFT_0", 0, 1, "software"),
        Field("SOFT_1", 1, 1, "software"),
        _TT,
        _COMMON,
        _I,
        _P,
        _FC_TABLE,
    ),
    source=f"{_MANUAL}, segment-table entries, FC = 0",
    constant=values(TT=_SEGMENT >> 2),
)

_PAGE = EntryForm(
    EntryKind.LEAF,
    ("pte",),
    (Match(_PAGE_INVALID, 0),),
    (AddressPart(PAGE_SHIFT, PA_BITS - PAGE_SHIFT, PAGE_SHIFT),),
    (
        Field("PRESENT", 0, 1, "software: present"),
        Field("SOFT_DIRTY", 1, 1, "software: soft dirty"),
        Field("YOUNG", 2, 1, "software: accessed; the hardware's flag is in the storage key"),
        Field("DIRTY", 3, 1, "software: dirty; the hardware's flag is in the storage key"),
        Field("READ", 4, 1, "software: readable"),
        Field("WRITE", 5, 1, "software: writable"),
        Field("SPECIAL", 6, 1, "software: special"),
        Field("UNUSED", 7, 1, "software: unused by the guest"),
        Field("NOEXEC", 8, 1, "instruction-execution protection"),
        _P,
        Field("INVALID", 10, 1, "0: valid"),
    ),
    source=f"{_MANUAL}, page-table entries",  # bit 52 of the manual, bit 11 here, is reserved
)

FORMAT = EntryFormat(
    valid=Match(_INVALID, 0),
    valid_at=(("pte", (Match(_PAGE_INVALID, 0),)),),
    # _REGION3_ENTRY_EMPTY, _SEGMENT_ENTRY_EMPTY, _PAGE_INVALID: a table of zeros would map PA 0 writable
    empty_at=(("pud", _REGION3 | _INVALID), ("pmd", _SEGMENT | _INVALID), ("pte", _PAGE_INVALID)),
    forms=(
        _REGION3_TABLE,
        _SEGMENT_TABLE,
        _leaf("pud", REGION3_SHIFT, _REGION3),
        _leaf("pmd", SEGMENT_SHIFT, _SEGMENT),
        _PAGE,
    ),
)
