# SPDX-License-Identifier: GPL-2.0-only
"""x86_64 page-table entries.

Intel SDM volume 3A, section 5.5 (4-level and 5-level paging), tables 5-15 to 5-20; AMD APM volume 2,
section 5.4. The software bits are the kernel's, arch/x86/include/asm/pgtable_types.h, v6.12.
"""

from __future__ import annotations

from hvolab.arch import AddressPart, EntryForm, EntryFormat, EntryKind, Field, Match

PAGE_SHIFT = 12
PA_BITS = 52
PRESENT, PAGE_SIZE_BIT = 1 << 0, 1 << 7
_SOURCE = "Intel SDM 3A, section 5.5"

_COMMON = (
    Field("P", 0, 1, "present"),
    Field("RW", 1, 1, "writable"),
    Field("US", 2, 1, "user"),
    Field("PWT", 3, 1, "page-level write-through"),
    Field("PCD", 4, 1, "page-level cache disable"),
    Field("A", 5, 1, "accessed"),
)
_SOFTWARE = (
    Field("SOFTW1", 9, 1, "software"),
    Field("SOFTW2", 10, 1, "software"),
    Field("SOFTW3", 11, 1, "software"),
)
_HIGH = (
    Field("IGNORED_56_52", 52, 5, "ignored"),
    Field("SOFTW4", 57, 1, "software"),
    Field("SAVED_DIRTY", 58, 1, "software: dirty, apart from D for shadow stacks"),
)
_NO_EXECUTE = Field("NX", 63, 1, "no execute")
_LEAF_TAIL = (*_SOFTWARE, *_HIGH, Field("PKEY", 59, 4, "protection key"), _NO_EXECUTE)

_TABLE = EntryForm(
    EntryKind.TABLE,
    ("pgd", "p4d", "pud", "pmd"),
    (Match(PRESENT | PAGE_SIZE_BIT, PRESENT),),
    (AddressPart(PAGE_SHIFT, PA_BITS - PAGE_SHIFT, PAGE_SHIFT),),
    (
        *_COMMON,
        Field("D", 6, 1, "ignored in a table entry; the kernel sets it"),
        Field("PSE", 7, 1, "page size: 0, a table"),
        Field("IGNORED_8", 8, 1, "ignored"),
        *_SOFTWARE,
        *_HIGH,
        Field("IGNORED_62_59", 59, 4, "ignored"),
        _NO_EXECUTE,
    ),
    source=_SOURCE,
)


def _leaf(level: str, shift: int, bit_7: Field, pattern: int, *more: Field) -> EntryForm:
    """Return a leaf, with its address from ``shift`` up; all bits of ``pattern`` are set in it."""
    fields = (*_COMMON, Field("D", 6, 1, "dirty"), bit_7, Field("G", 8, 1, "global"), *more, *_LEAF_TAIL)
    address = AddressPart(shift, PA_BITS - shift, shift)
    return EntryForm(EntryKind.LEAF, (level,), (Match(pattern, pattern),), (address,), fields, source=_SOURCE)


#: Above the last level: PSE set, and PAT in bit 12.
_LARGE = (
    Field("PSE", 7, 1, "page size: 1, a leaf"),
    PRESENT | PAGE_SIZE_BIT,
    Field("PAT_LARGE", 12, 1, "page attribute table"),
)
_PAGE = _leaf("pte", PAGE_SHIFT, Field("PAT", 7, 1, "page attribute table"), PRESENT)

FORMAT = EntryFormat(Match(PRESENT, PRESENT), (_TABLE, _leaf("pud", 30, *_LARGE), _leaf("pmd", 21, *_LARGE), _PAGE))
