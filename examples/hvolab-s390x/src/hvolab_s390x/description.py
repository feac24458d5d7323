# SPDX-License-Identifier: GPL-2.0-only
"""The description of s390x: its three-level kernel address space, pgprots, traits.

HVO was selected for s390 from v6.1 on (commit 00a34d5a99c0) and removed in November 2025 (commit 64e2f60f355e), after
machines crashed with corrupted lists: flush_tlb_all() had never flushed anything there, which was harmless until HVO
flushed in batches (commit f13b83fdd996), and a valid entry may not be replaced by a plain store. Both are declared as
traits below, so that hvolab shows the crash as findings.
"""

from __future__ import annotations

from hvolab.arch import (
    Access,
    Architecture,
    FaultKind,
    Feature,
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
    ZoneLimit,
    values,
)
from hvolab_s390x.entries import FORMAT, NOEXEC, PA_BITS, PAGE_SHIFT, PROTECT, REGION3_SHIFT, SEGMENT_SHIFT
from hvolab_s390x.reference_values import EXAMPLES, FIGURES

_PGTABLE = "arch/s390/include/asm/pgtable.h"

#: Region and segment tables have 2048 entries, four frames; page tables 256, half a frame.
_CRST_BITS, _PAGE_TABLE_BITS = 11, 8

_THREE = PagingMode(
    name="3-level",
    summary="42-bit VA (4 TiB, region-third table), 4 KiB pages",
    page_shift=PAGE_SHIFT,
    levels=(
        Level("pud", REGION3_SHIFT, _CRST_BITS, fills_page=False),
        Level("pmd", SEGMENT_SHIFT, _CRST_BITS, fills_page=False),
        Level("pte", PAGE_SHIFT, _PAGE_TABLE_BITS, fills_page=False),
    ),
    va_bits=42,
    pa_bits=PA_BITS,
    format=FORMAT,
    direct_map_base=0,
    # from setup_kernel_memory_layout() without KASLR: below 510 GiB of vmalloc, 2 GiB of modules and the kernel
    vmemmap_base=0x37200000000,
    origin=LinearOrigin.ZERO,
    vmemmap_level="pmd",
    direct_map_level="pud",
    huge_page_levels=(("pmd", 1), ("pud", 1)),
    split_roots=True,  # the kernel has an address space to itself
    kernel_base=0,
    source="arch/s390/boot/startup.c, v6.12; the vmemmap's base is that of commit 00a34d5a99c0",
)

#: Program interruption codes of translation exceptions, by depth of the level counted from the page tables.
_PAGE_TRANSLATION, _SEGMENT_TRANSLATION, _REGION3_TRANSLATION = 0x11, 0x10, 0x3B
_TRANSLATION = (_PAGE_TRANSLATION, _SEGMENT_TRANSLATION, _REGION3_TRANSLATION)
_PROTECTION, _ADDRESSING, _SPECIFICATION = 0x04, 0x05, 0x12
_STORE, _FETCH, _BY_DAT = 1 << 10, 1 << 11, 1 << 2


def _syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return interruption code and translation-exception identification. Principles of Operation, chapters 3 and 6."""
    codes = {FaultKind.TRANSLATION: _TRANSLATION[depth], FaultKind.RESERVED: _SPECIFICATION}
    code = codes.get(kind, _ADDRESSING if kind is FaultKind.ABSENT else _PROTECTION)
    teid = va & ~0xFFF | (_STORE if access & Access.WRITE else _FETCH)
    return values(code=code, teid=teid | (_BY_DAT if code == _PROTECTION else 0))


_KERNEL = values("PRESENT", "READ", "WRITE", "YOUNG", "DIRTY", "NOEXEC")

S390X = Architecture(
    name="s390x",
    title="s390x (z/Architecture)",
    aliases=("s390", "zarch"),
    modes=(_THREE,),
    pgprots=(
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", _KERNEL, source=_PGTABLE),
        Pgprot(
            PgprotRole.KERNEL_RO,
            "PAGE_KERNEL_RO",
            values("PRESENT", "READ", "YOUNG", "PROTECT", "NOEXEC"),
            source=_PGTABLE,
        ),
        Pgprot(
            PgprotRole.KERNEL_LARGE,
            "SEGMENT_KERNEL",
            values("LARGE", "READ", "WRITE", "YOUNG", "DIRTY", "NOEXEC"),
            source=f"{_PGTABLE}; REGION3_KERNEL is the same with another table type",
        ),
        Pgprot(PgprotRole.TABLE, "_SEGMENT_ENTRY", values(), source=f"{_PGTABLE}; _REGION3_ENTRY above it"),
    ),
    features=(
        Feature(
            "flush",
            "a flush_tlb_all() that flushes: the replaced live entries are the only findings left",
            traits=(("flush_all_effective", True),),
            source="arch/s390/include/asm/tlbflush.h: flush_tlb_kernel_range() flushes, flush_tlb_all() is empty",
        ),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.FORBIDDEN,
        memory_order=MemoryOrder.TSO,
        flush_all_effective=False,
        source="Principles of Operation, chapter 3, modification of DAT-table entries (IPTE, IDTE, CRDTE, CSPG); "
        "arch/s390/include/asm/tlbflush.h; commit 64e2f60f355e",
    ),
    mmu=MmuRules(
        read=Permission(),
        write=Permission(leaf=Match(PROTECT, 0), tables=Match(PROTECT, 0)),
        execute=Permission(leaf=Match(NOEXEC, 0)),
        accessed=None,
        accessed_by=UpdateRule.NOBODY,  # reference and change bits are in the storage key of the frame
        dirty=None,
        dirty_by=UpdateRule.NOBODY,
        syndrome=_syndrome,
    ),
    zone_limits=(ZoneLimit("DMA", 1 << 31),),
    byte_order="big",
    elf_machine="EM_S390",
    examples=EXAMPLES,
    figures=FIGURES,
    source="z/Architecture Principles of Operation, SA22-7832, chapter 3; arch/s390, v6.12",
)
