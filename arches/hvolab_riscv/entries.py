# SPDX-License-Identifier: GPL-2.0-only
"""riscv page-table entries of Sv39, Sv48 and Sv57.

The RISC-V Instruction Set Manual, volume II, chapter "Supervisor-Level ISA", sections Sv39, Sv48, Sv57, Svnapot and
Svpbmt. The software bit is the kernel's, arch/riscv/include/asm/pgtable-bits.h, v6.12.
"""

from __future__ import annotations

from hvolab.arch import (
    AddressPart,
    EntryForm,
    EntryFormat,
    EntryKind,
    EntryRule,
    Field,
    Level,
    Match,
    SoftwareEntry,
    values,
)

PAGE_SHIFT = 12
PFN_LOW, PFN_BITS = 10, 44
PA_BITS = PAGE_SHIFT + PFN_BITS
V, R, W, X, U = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
G = 1 << 5  #: of an entry without V: _PAGE_PROT_NONE
NAPOT = 1 << 63
_SOURCE = "RISC-V privileged specification, Sv39/Sv48/Sv57"

#: W without R is reserved, so a leaf is readable, or executable alone.
_LEAF_TYPES = (Match(V | R, V | R), Match(V | R | W | X, V | X))

_V, _G = Field("V", 0, 1, "valid"), Field("G", 5, 1, "global")
_SOFTWARE = (Field("SPECIAL", 8, 1, "software (RSW): special"), Field("RSW", 9, 1, "software"))
_LEAF_FIELDS = (
    _V,
    Field("R", 1, 1, "readable"),
    Field("W", 2, 1, "writable"),
    Field("X", 3, 1, "executable"),
    Field("U", 4, 1, "user"),
    _G,
    Field("A", 6, 1, "accessed"),
    Field("D", 7, 1, "dirty"),
    *_SOFTWARE,
)

_TABLE = EntryForm(
    EntryKind.TABLE,
    ("pgd", "p4d", "pud", "pmd"),
    (Match(V | R | W | X, V),),
    (AddressPart(PFN_LOW, PFN_BITS, PAGE_SHIFT),),
    (
        _V,
        Field("R", 1, 1, "readable: 0, a table"),
        Field("W", 2, 1, "writable: 0, a table"),
        Field("X", 3, 1, "executable: 0, a table"),
        _G,
        *_SOFTWARE,
    ),
    rules=tuple(
        EntryRule(Match(bit, bit), "D, A and U of a table entry must be zero", _SOURCE) for bit in (U, 1 << 6, 1 << 7)
    ),
    source=_SOURCE,
)


def _leaf(levels: tuple[str, ...], shift: int) -> EntryForm:
    """Return a leaf that maps ``2 ** shift`` bytes; the low bits of its PPN must be zero."""
    return EntryForm(
        EntryKind.LEAF,
        levels,
        _LEAF_TYPES,
        (AddressPart(PFN_LOW + shift - PAGE_SHIFT, PFN_BITS - shift + PAGE_SHIFT, shift),),
        _LEAF_FIELDS,
        source=_SOURCE,
    )


NAPOT_SHIFT = 16
#: The PPN's low bits of a 64 KiB NAPOT leaf: 0b1000.
_NAPOT_SIZE = Field("NAPOT_SIZE", PFN_LOW, 4, "8: 64 KiB, the only size defined")

NAPOT_LEAF = EntryForm(
    EntryKind.LEAF,
    ("pte",),
    tuple(Match(match.mask | NAPOT, match.value | NAPOT) for match in _LEAF_TYPES),
    (AddressPart(PFN_LOW + 4, PFN_BITS - 4, NAPOT_SHIFT),),
    (*_LEAF_FIELDS, _NAPOT_SIZE, Field("N", 63, 1, "NAPOT: one of a naturally aligned run of entries")),
    rules=tuple(
        EntryRule(
            Match(NAPOT | _NAPOT_SIZE.mask, NAPOT | size << PFN_LOW),
            f"NAPOT size {size:#06b} is reserved, only 0b1000 is defined",
            "RISC-V privileged specification, Svnapot",
        )
        for size in range(16)
        if size != 8
    ),
    source="RISC-V privileged specification, Svnapot",
    constant=values("N", NAPOT_SIZE=8),
)


#: Levels at which processes have pages.
_MAPPED = ("pud", "pmd", "pte")
_SWAP_FORM = EntryForm(
    EntryKind.NONE,
    ("pmd", "pte"),
    (Match(V | R | W | G, 0),),
    (),
    (
        Field("V", 0, 1, "valid"),
        Field("LEAF", 1, 2, "R and W: 0, not mapped for the kernel either"),
        Field("SOFT_DIRTY", 3, 1, "soft dirty, in v7.2 with Svrsw60t59b"),
        Field("UFFD_WP", 4, 1, "write-protected by userfaultfd, likewise"),
        Field("G", 5, 1, "0: not without access"),
        Field("EXCLUSIVE", 6, 1, "the page belonged to one process: PG_anon_exclusive"),
        Field("TYPE", 7, 5, "swap file; the highest: memory error, migration, device"),
        Field("OFFSET", 12, 52, "slot of the swap file, or PFN"),
    ),
    source="arch/riscv/include/asm/pgtable.h, v6.12: __swp_type(), __swp_offset()",
)


def _software(leaves: list[EntryForm]) -> tuple[SoftwareEntry, ...]:
    """Return what the kernel stores in entries that are not valid; ``leaves`` are the forms of valid ones."""
    source = "arch/riscv/include/asm/pgtable.h, v6.12: pte_protnone(), pmd_present()"

    def form(leaf: EntryForm, *patterns: Match) -> EntryForm:
        return EntryForm(EntryKind.NONE, leaf.levels, patterns, leaf.address, leaf.fields, source=source)

    types = tuple(Match(V | G | bit, bit) for bit in (R, W, X))
    leaves = [leaf for leaf in leaves if leaf.levels[0] in _MAPPED]
    return (
        *(
            SoftwareEntry(
                "page without access",
                form(leaf, Match(V | G, G)),
                "mapped, but every access faults: PROT_NONE or NUMA balancing; G is _PAGE_PROT_NONE",
            )
            for leaf in leaves
        ),
        *(
            SoftwareEntry(
                "huge page that is invalidated",
                form(leaf, *types),
                "mapped for the kernel, while it is split or migrated: pmd_mkinvalid()",
            )
            for leaf in leaves
            if "pte" not in leaf.levels
        ),
        SoftwareEntry(
            "swap entry",
            _SWAP_FORM,
            "in tables of processes: swapped out, migrated or lost; the kernel finds the page by type and offset",
        ),
    )


def entry_format(levels: tuple[Level, ...]) -> EntryFormat:
    """Return the format of a mode: every level may hold leaves."""
    leaves = [_leaf((level.name,), level.shift) for level in levels]
    return EntryFormat(valid=Match(V, V), forms=(_TABLE, *leaves), software=_software(leaves))
