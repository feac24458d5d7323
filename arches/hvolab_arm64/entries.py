# SPDX-License-Identifier: GPL-2.0-only
"""arm64 (VMSAv8-64, stage 1) descriptors for the 4K, 16K and 64K granules.

Arm Architecture Reference Manual, DDI 0487, section D8.3 (translation table descriptor formats). The software bits are
the kernel's, arch/arm64/include/asm/pgtable-prot.h and pgtable-hwdef.h, v6.12.
"""

from __future__ import annotations

from hvolab.arch import AddressPart, EntryForm, EntryFormat, EntryKind, Field, Level, Match, SoftwareEntry

VALID, TYPE = 1 << 0, 0b11
BLOCK, TABLE, PAGE = 0b01, 0b11, 0b11
_SOURCE = "Arm ARM DDI 0487, D8.3"
#: Of an entry without VALID: PTE_PRESENT_INVALID, which is the bit of NG; then USER and UXN.
_PRESENT_INVALID, _USER, _UXN = 1 << 11, 1 << 6, 1 << 54

_TYPE = Field("TYPE", 0, 2, "1: block, 3: table or page")
_SH = Field("SH", 8, 2, "shareability: 3 inner")

_LOWER = (
    _TYPE,
    Field("ATTRINDX", 2, 3, "index of the memory attributes: 0 MT_NORMAL"),
    Field("NS", 5, 1, "non-secure"),
    Field("USER", 6, 1, "AP[1]: EL0 may access"),
    Field("RDONLY", 7, 1, "AP[2]: read-only"),
    Field("AF", 10, 1, "access flag"),
    Field("NG", 11, 1, "not global"),
)
_UPPER = (
    Field("GP", 50, 1, "guarded page"),
    Field("DBM", 51, 1, "dirty bit modifier; the kernel's WRITE"),
    Field("CONT", 52, 1, "contiguous: one of a run that may share a TLB entry"),
    Field("PXN", 53, 1, "privileged execute never"),
    Field("UXN", 54, 1, "unprivileged execute never"),
    Field("DIRTY", 55, 1, "software: dirty"),
    Field("SPECIAL", 56, 1, "software: special"),
    Field("DEVMAP", 57, 1, "software: device memory with struct pages"),
    Field("UFFD_WP", 58, 1, "software: userfaultfd write protection"),
    Field("IGNORED_62_59", 59, 4, "ignored, or page-based hardware attributes"),
    Field("IGNORED_63", 63, 1, "ignored"),
)
_TABLE_UPPER = (
    Field("IGNORED_58_51", 51, 8, "ignored"),
    Field("PXNTABLE", 59, 1, "no privileged execution below"),
    Field("UXNTABLE", 60, 1, "no unprivileged execution below"),
    Field("APTABLE", 61, 2, "access permissions below: bit 1 denies writes"),
    Field("NSTABLE", 63, 1, "non-secure below"),
)


def _address(shift: int, *, pa_bits: int, lpa2: bool) -> tuple[AddressPart, ...]:
    """Return the parts of the output address of a descriptor that maps ``2 ** shift`` bytes."""
    if pa_bits <= 48:
        return (AddressPart(shift, 48 - shift, shift),)
    if lpa2:
        return (AddressPart(shift, 50 - shift, shift), AddressPart(8, 2, 50))
    return (AddressPart(shift, 48 - shift, shift), AddressPart(12, 4, 48))


def _software(leaves: list[EntryForm], levels: tuple[Level, ...]) -> tuple[SoftwareEntry, ...]:
    """Return what the kernel stores in entries that are not valid; ``leaves`` are the forms of valid ones."""
    source = "arch/arm64/include/asm/pgtable.h, v6.12: pte_protnone(), pte_mkinvalid()"

    def kept(leaf: EntryForm) -> EntryForm:
        pattern = Match(VALID | _PRESENT_INVALID, _PRESENT_INVALID)
        return EntryForm(EntryKind.NONE, leaf.levels, (pattern,), leaf.address, leaf.fields, source=source)

    def without_access(leaf: EntryForm) -> EntryForm:
        pattern = Match(VALID | _PRESENT_INVALID | _USER | _UXN, _PRESENT_INVALID | _UXN)
        return EntryForm(EntryKind.NONE, leaf.levels, (pattern,), leaf.address, leaf.fields, source=source)

    no_access = "mapped, but every access faults: PROT_NONE or NUMA balancing; NG is PTE_PRESENT_INVALID"
    invalid = (
        "mapped for the kernel, while it is changed, split or migrated: pte_mkinvalid(); NG is PTE_PRESENT_INVALID"
    )
    return (
        *(SoftwareEntry("page without access", without_access(leaf), no_access) for leaf in leaves),
        *(SoftwareEntry("page that is invalidated", kept(leaf), invalid) for leaf in leaves),
        SoftwareEntry(
            "swap entry",
            EntryForm(
                EntryKind.NONE,
                tuple(level.name for level in levels[-2:]),
                (Match(TYPE | _PRESENT_INVALID, 0),),
                (),
                (
                    Field("VALID", 0, 2, "valid, and type: 0"),
                    Field("EXCLUSIVE", 2, 1, "the page belonged to one process: PG_anon_exclusive"),
                    Field("UFFD_WP", 3, 1, "write-protected by userfaultfd"),
                    Field("UNUSED_5_4", 4, 2, "unused"),
                    Field("TYPE", 6, 5, "swap file; the highest: memory error, migration, device"),
                    Field("PRESENT_INVALID", 11, 1, "0: not mapped for the kernel either"),
                    Field("OFFSET", 12, 50, "slot of the swap file, or PFN"),
                    Field("UNUSED_63_62", 62, 2, "unused"),
                ),
                source="arch/arm64/include/asm/pgtable.h, v6.12: __swp_type(), __swp_offset()",
            ),
            "in tables of processes: swapped out, migrated or lost; the kernel finds the page by type and offset",
        ),
    )


def entry_format(levels: tuple[Level, ...], blocks: list[Level], *, pa_bits: int, lpa2: bool) -> EntryFormat:
    """Return the format of one granule and PA width.

    levels  all levels; those above the last may point to tables
    blocks  levels that may hold blocks
    lpa2    PA bits 51:50 are in bits 9:8, which hold SH without LPA2
    """
    lower = _LOWER if lpa2 else (*_LOWER, _SH)
    # bits 49:48 are neither address nor free below 52 bits of PA: RES0
    table = EntryForm(
        EntryKind.TABLE,
        tuple(level.name for level in levels[:-1]),
        (Match(TYPE, TABLE),),
        _address(levels[-1].shift, pa_bits=pa_bits, lpa2=lpa2),
        (
            _TYPE,
            Field("IGNORED_7_2", 2, 6, "ignored"),
            *(() if lpa2 else (Field("IGNORED_9_8", 8, 2, "ignored"),)),
            Field("AF", 10, 1, "access flag of the table, with FEAT_HAFT"),
            Field("IGNORED_11", 11, 1, "ignored"),
            *_TABLE_UPPER,
        ),
        source=_SOURCE,
    )

    def leaf(level: Level, kind: int, *more: Field) -> EntryForm:
        address = _address(level.shift, pa_bits=pa_bits, lpa2=lpa2)
        fields = (*lower, *more, *_UPPER)
        return EntryForm(EntryKind.LEAF, (level.name,), (Match(TYPE, kind),), address, fields, source=_SOURCE)

    not_translated = Field("NT", 16, 1, "block translation entry, with FEAT_BBM")
    leaves = [*(leaf(level, BLOCK, not_translated) for level in blocks), leaf(levels[-1], PAGE)]
    return EntryFormat(valid=Match(VALID, VALID), forms=(table, *leaves), software=_software(leaves, levels))
