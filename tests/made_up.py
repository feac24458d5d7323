# SPDX-License-Identifier: GPL-2.0-only
"""A made-up architecture with nothing usual about it, to prove that core assumes nothing usual.

16 KiB pages; three levels whose tables have 4096, 64 and 128 entries (two frames, a fraction of one, a fraction of
one); the valid bit on top, the output PA in two parts; big-endian; RAM that starts at 9 GiB; a direct map and a vmemmap
that start with the first frame of RAM, the vmemmap not on the boundary of a table.
"""

from __future__ import annotations

from hvolab.arch import (
    Access,
    AddressPart,
    Architecture,
    EntryForm,
    EntryFormat,
    EntryKind,
    EntryRule,
    FaultKind,
    Feature,
    Field,
    FieldValues,
    Level,
    LinearOrigin,
    LiveEntryRule,
    Match,
    MemoryOrder,
    MmuRules,
    PagingMode,
    Permission,
    Pgprot,
    PgprotRole,
    Traits,
    UpdateRule,
    values,
)

PAGE_SHIFT = 14
MANUAL = "made-up manual, chapter 3"
_READABLE, _ACCESSED, _PROTECTED, _LOCKED = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_VALID, _TYPE = 1 << 63, 0b11 << 61
_TABLE_TYPE, _LEAF_TYPE = 0b01, 0b10

VALID = Field("VALID", 63, 1, "valid")
TYPE = Field("TYPE", 61, 2, "1: table, 2: leaf")
#: Upper bits of the PA stand below the lower ones.
UPPER_PART = AddressPart(low=4, width=6, physical=38)


def _address(lowest: int) -> tuple[AddressPart, ...]:
    """The output PA from bit ``lowest`` on."""
    return (AddressPart(lowest + 16, 38 - lowest, lowest), UPPER_PART)


def _leaf(level: str, shift: int) -> EntryForm:
    return EntryForm(
        EntryKind.LEAF,
        (level,),
        (Match(_VALID | _TYPE, _VALID | _LEAF_TYPE << 61),),
        _address(shift),
        (
            Field("R", 0, 1, "readable"),
            Field("A", 1, 1, "accessed"),
            Field("WP", 2, 1, "write-protected"),
            Field("SW", 3, 1, "software"),
            TYPE,
            VALID,
        ),
        rules=(
            EntryRule(Match(_READABLE | _PROTECTED, 0), "what is writable must be readable", "made-up manual, 3.7"),
        ),
        source=MANUAL,
    )


FORMAT = EntryFormat(
    valid=Match(_VALID, _VALID),
    forms=(
        EntryForm(
            EntryKind.TABLE,
            ("root", "middle"),
            (Match(_VALID | _TYPE, _VALID | _TABLE_TYPE << 61),),
            _address(PAGE_SHIFT),
            (Field("LOCKED", 3, 1, "nothing below is writable"), TYPE, VALID),
            source=MANUAL,
        ),
        _leaf("root", 27),
        _leaf("middle", 21),
        _leaf("last", PAGE_SHIFT),
    ),
)

MODE = PagingMode(
    name="crooked",
    summary="39-bit VA, 16 KiB pages, tables of three sizes",
    page_shift=PAGE_SHIFT,
    levels=(Level("root", 27, 12), Level("middle", 21, 6), Level("last", PAGE_SHIFT, 7)),
    va_bits=39,
    pa_bits=44,
    format=FORMAT,
    direct_map_base=0xFFFFFFC000000000,
    vmemmap_base=0xFFFFFFF00000C000,
    origin=LinearOrigin.RAM,
    vmemmap_level="middle",
    direct_map_level="root",
    huge_page_levels=(("middle", 1), ("middle", 16), ("root", 1)),
    source=MANUAL,
)


def syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """The made-up registers of a fault."""
    return values(cause=list(FaultKind).index(kind), write=int(bool(access & Access.WRITE)), address=va, depth=depth)


MADE_UP = Architecture(
    name="made-up",
    title="an architecture that nobody built",
    aliases=("invented",),
    modes=(MODE,),
    pgprots=(
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", values("VALID", "R", "A", TYPE=_LEAF_TYPE)),
        # as where Linux defines no PAGE_KERNEL_RO of its own: only the strict profile protects tails
        Pgprot(
            PgprotRole.KERNEL_RO,
            "PAGE_KERNEL_READ",
            values("VALID", "R", "A", "WP", TYPE=_LEAF_TYPE),
            profiles=("strict",),
        ),
        Pgprot(
            PgprotRole.KERNEL_RO,
            "PAGE_KERNEL_RO",
            values("VALID", "R", "A", "WP", "SW", TYPE=_LEAF_TYPE),
            releases=("6.1",),
        ),
        Pgprot(PgprotRole.KERNEL_RO, "PAGE_KERNEL_RO", values("VALID", "R", "A", TYPE=_LEAF_TYPE)),
        Pgprot(PgprotRole.KERNEL_LARGE, "PAGE_KERNEL_LARGE", values("VALID", "R", "A", TYPE=_LEAF_TYPE)),
        Pgprot(PgprotRole.TABLE, "table", values("VALID", TYPE=_TABLE_TYPE)),
    ),
    features=(
        Feature(
            "guard",
            "a bit in the middle of the output PA says that memory is guarded",
            adds=(Field("GUARD", 50, 1, "guarded"),),
            sets=values("GUARD"),
            source=MANUAL,
        ),
        Feature("blunt", "software bits are not kept", clears=("SW",), modes=("crooked",), source=MANUAL),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.BREAK_BEFORE_MAKE,
        memory_order=MemoryOrder.WEAK,
        compare_and_swap_needs_write=False,
        source=MANUAL,
    ),
    mmu=MmuRules(
        read=Permission(leaf=Match(_READABLE, _READABLE)),
        write=Permission(leaf=Match(_PROTECTED, 0), tables=Match(_LOCKED, 0)),
        execute=Permission(leaf=Match(_READABLE | _PROTECTED, _READABLE | _PROTECTED)),
        accessed=Match(_ACCESSED, _ACCESSED),
        accessed_by=UpdateRule.SOFTWARE,
        dirty=None,
        dirty_by=UpdateRule.NOBODY,
        syndrome=syndrome,
    ),
    ram_base=0x240000000,
    byte_order="big",
    source=MANUAL,
)
