# SPDX-License-Identifier: GPL-2.0-only
"""Entries of powerpc's radix tables: page directories and pages.

Power ISA v3.1B, Book III, section 6.7.10; the software bits are the kernel's, v6.12, in
arch/powerpc/include/asm/book3s/64/pgtable.h. Bits are numbered as hvolab numbers them, the lowest 0; the manual numbers
them from the highest.
"""

from __future__ import annotations

from itertools import pairwise

from hvolab.arch import AddressPart, EntryForm, EntryFormat, EntryKind, Field, Level, Match, values

#: PTE_RPN_MASK: the manual's entries hold four PA bits more, which the kernel keeps zero.
PA_BITS = 53

EXECUTE, WRITE, READ, PRIVILEGED = 1 << 0, 1 << 1, 1 << 2, 1 << 3
CHANGED, REFERENCED = 1 << 7, 1 << 8
_VALID, _LEAF = 1 << 63, 1 << 62
_MANUAL = "Power ISA v3.1B, Book III, 6.7.10"

_PRESENT = Field("PRESENT", 63, 1, "valid")
_PTE = Field("PTE", 62, 1, "1: a leaf, 0: a directory entry")
_FLAGS = (
    Field("EXEC", 0, 1, "executable"),
    Field("WRITE", 1, 1, "readable and writable"),
    Field("READ", 2, 1, "readable"),
    Field("PRIVILEGED", 3, 1, "not for problem state"),
    Field("ATT", 4, 2, "attributes: 0 normal, 1 strong access order, 2 non-idempotent, 3 tolerant"),
    Field("DIRTY", 7, 1, "C: changed"),
    Field("ACCESSED", 8, 1, "R: referenced"),
    Field("SOFT_DIRTY", 9, 1, "software: soft dirty"),
    Field("SPECIAL", 10, 1, "software: special"),
    Field("DEVMAP", 11, 1, "software: ZONE_DEVICE page"),
    Field("INVALID", 61, 1, "software: the entry is being changed, where PRESENT is clear"),
)


def _directory(level: Level, below: Level) -> EntryForm:
    """Return the directory entry of a level: the address of a table, at a multiple of its size, and its index bits."""
    lowest = below.table_bytes.bit_length() - 1
    return EntryForm(
        EntryKind.TABLE,
        (level.name,),
        (Match(_VALID | _LEAF, _VALID),),
        (AddressPart(lowest, PA_BITS - lowest, lowest),),
        (Field("NLS", 0, 5, "bits that index the next table"), _PRESENT, _PTE),
        source=f"{_MANUAL}: radix page directory entry",
        constant=values(NLS=below.bits),
    )


def _page(level: Level) -> EntryForm:
    """Return the leaf of a level."""
    return EntryForm(
        EntryKind.LEAF,
        (level.name,),
        (Match(_VALID | _LEAF, _VALID | _LEAF),),
        (AddressPart(level.shift, PA_BITS - level.shift, level.shift),),
        (*_FLAGS, _PRESENT, _PTE),
        source=f"{_MANUAL}: radix page table entry",
    )


def entry_format(levels: tuple[Level, ...]) -> EntryFormat:
    """Return the format of a mode: leaves at all levels but the root."""
    directories = [_directory(level, below) for level, below in pairwise(levels)]
    return EntryFormat(valid=Match(_VALID, _VALID), forms=(*directories, *map(_page, levels[1:])))
