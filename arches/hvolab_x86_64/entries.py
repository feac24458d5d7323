# SPDX-License-Identifier: GPL-2.0-only
"""x86_64 page-table entries.

Intel SDM volume 3A, section 5.5 (4-level and 5-level paging), tables 5-15 to 5-20; AMD APM volume 2,
section 5.4. The software bits are the kernel's, arch/x86/include/asm/pgtable_types.h, v6.12.
"""

from __future__ import annotations

from hvolab.arch import ADDRESS, AddressPart, EntryForm, EntryFormat, EntryKind, Field, Match, SoftwareEntry

PAGE_SHIFT = 12
PA_BITS = 52
PRESENT, PAGE_SIZE_BIT, _GLOBAL, _CACHE_DISABLE = 1 << 0, 1 << 7, 1 << 8, 1 << 4
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

_LEAVES = (_leaf("pud", 30, *_LARGE), _leaf("pmd", 21, *_LARGE), _PAGE)
_INVERSION = "arch/x86/include/asm/pgtable-invert.h, v6.12: against L1TF"


def _not_present(leaf: EntryForm, pattern: Match) -> EntryForm:
    """Return the form of a leaf of which P is clear."""
    return EntryForm(EntryKind.NONE, leaf.levels, (pattern,), leaf.address, leaf.fields, source=_INVERSION)


_NO_ACCESS = tuple(
    SoftwareEntry(
        "page without access",
        _not_present(leaf, Match(PRESENT | _GLOBAL | size, _GLOBAL | size)),
        "mapped, but every access faults: PROT_NONE or NUMA balancing; G is _PAGE_PROTNONE, the PFN inverted",
        (ADDRESS,),
    )
    for leaf in _LEAVES
    for size in (0 if leaf is _PAGE else PAGE_SIZE_BIT,)
)
_INVALIDATED = tuple(
    SoftwareEntry(
        "huge page that is invalidated",
        _not_present(leaf, Match(PRESENT | _GLOBAL | PAGE_SIZE_BIT, PAGE_SIZE_BIT)),
        "mapped for the kernel, while it is split or migrated: pmd_mkinvalid(); the PFN inverted",
        (ADDRESS,),
    )
    for leaf in _LEAVES
    if leaf is not _PAGE
)
_SWAP = SoftwareEntry(
    "swap entry",
    EntryForm(
        EntryKind.NONE,
        ("pmd", "pte"),
        (Match(PRESENT | _CACHE_DISABLE | PAGE_SIZE_BIT | _GLOBAL, 0),),
        (),
        (
            Field("P", 0, 1, "present"),
            Field("SOFT_DIRTY", 1, 1, "soft dirty"),
            Field("UFFD_WP", 2, 1, "write-protected by userfaultfd"),
            Field("EXCLUSIVE", 3, 1, "the page belonged to one process: PG_anon_exclusive"),
            Field("IGNORED_6_5", 5, 2, "ignored: an erratum may set A and D"),
            Field("OFFSET", 9, 50, "slot of the swap file, or PFN; inverted in memory"),
            Field("TYPE", 59, 5, "swap file; the highest: memory error, migration, device"),
        ),
        source="arch/x86/include/asm/pgtable_64.h, v6.12: __swp_type(), __swp_offset()",
    ),
    "in tables of processes: swapped out, migrated or lost; the kernel finds the page by type and offset",
    ("OFFSET",),
)

FORMAT = EntryFormat(Match(PRESENT, PRESENT), (_TABLE, *_LEAVES), software=(*_NO_ACCESS, *_INVALIDATED, _SWAP))
