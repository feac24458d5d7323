# SPDX-License-Identifier: GPL-2.0-only
"""The description of powerpc's radix kernels: two page sizes, two byte orders of data, one of entries.

Linux does not select HVO on powerpc: it has ARCH_WANT_OPTIMIZE_DAX_VMEMMAP alone, see the README.
"""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import (
    Access,
    Architecture,
    FaultKind,
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
from hvolab_ppc64.entries import CHANGED, EXECUTE, PA_BITS, PRIVILEGED, READ, REFERENCED, WRITE, entry_format
from hvolab_ppc64.reference_values import EXAMPLES, FIGURES

_RADIX = "arch/powerpc/include/asm/book3s/64/radix.h, v6.12"
_PGTABLE = "arch/powerpc/include/asm/book3s/64/pgtable.h, v6.12"
_MANUAL = "Power ISA v3.1B, Book III"
#: Kernel VAs are those of quadrant 3: the upper two bits are set, and the next ten are clear.
_QUADRANT = 0xC000000000000000


def _mode(name: str, page_shift: int, pte_bits: int) -> PagingMode:
    """Return the mode of a page size: the tables above the last level do not depend on it."""
    levels = (
        Level("pgd", 39, 13, fills_page=page_shift == 16),
        Level("pud", 30, 9, fills_page=page_shift == 12),
        Level("pmd", 21, 9, fills_page=page_shift == 12),
        Level("pte", page_shift, pte_bits, fills_page=page_shift == 12),
    )
    return PagingMode(
        name=name,
        summary=f"radix, {1 << page_shift - 10} KiB pages, 52-bit VA",
        page_shift=page_shift,
        levels=levels,
        va_bits=52,
        pa_bits=PA_BITS,
        format=entry_format(levels),
        direct_map_base=_QUADRANT,
        direct_map_size=1 << 51,  # up to RADIX_KERN_VIRT_START; R_MAX_PHYSMEM_BITS
        vmemmap_base=0xC00C000000000000,
        origin=LinearOrigin.ZERO,
        vmemmap_level="pmd",
        direct_map_level="pud",
        huge_page_levels=(("pmd", 1), ("pud", 1)),
        split_roots=True,  # the quadrant has a process table entry of its own, for process 0
        kernel_base=_QUADRANT,
        source=f"{_RADIX}; radix-4k.h, radix-64k.h; radix__vmemmap_populate()",
    )


#: DSISR of a data storage interrupt; SRR1 of an instruction storage interrupt has the first two in the same bits.
_NOT_FOUND, _PROTECTION, _STORE, _UNSUPPORTED = 1 << 30, 1 << 27, 1 << 25, 1 << 19


def _syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return the registers of a storage interrupt. Power ISA v3.1B, Book III, 7.5.3 and 7.5.5."""
    del depth
    causes = {FaultKind.TRANSLATION: _NOT_FOUND, FaultKind.ABSENT: _NOT_FOUND, FaultKind.RESERVED: _UNSUPPORTED}
    cause = causes.get(kind, _PROTECTION)
    if access is Access.EXECUTE:
        return values(srr0=va, srr1=cause)
    return values(dar=va, dsisr=cause | (_STORE if access & Access.WRITE else 0))


_BASE = ("PRESENT", "PTE", "ACCESSED", "PRIVILEGED", "READ")
_KERNEL = values(*_BASE, "WRITE", "DIRTY")
#: Pages of problem state are denied by their key: KUAP and KUEP.
_OWN = Match(PRIVILEGED, PRIVILEGED)

PPC64LE = Architecture(
    name="ppc64le",
    title="powerpc, radix, little-endian kernel",
    aliases=("powerpc64le",),
    modes=(_mode("64K", 16, 5), _mode("4K", 12, 9)),
    pgprots=(
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", _KERNEL, source=_PGTABLE),
        Pgprot(PgprotRole.KERNEL_RO, "PAGE_KERNEL_RO", values(*_BASE), source=_PGTABLE),
        Pgprot(PgprotRole.KERNEL_LARGE, "PAGE_KERNEL", _KERNEL, source="radix_pgtable.c: vmemmap_set_pmd()"),
        Pgprot(
            PgprotRole.TABLE, "RADIX_PMD_VAL_BITS", values("PRESENT"), source=f"{_RADIX}; NLS is constant in entries"
        ),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.MARK_INVALID,
        memory_order=MemoryOrder.WEAK,
        compare_and_swap_needs_write=False,  # a stdcx. that is not reached stores nothing
        source=f"{_MANUAL}, 6.10.1, translation table update synchronization; radix__ptep_set_access_flags()",
    ),
    mmu=MmuRules(
        read=Permission(
            Match(READ, READ), privilege=_OWN, alternatives=(Permission(Match(WRITE, WRITE), privilege=_OWN),)
        ),
        write=Permission(Match(WRITE, WRITE), privilege=_OWN),
        execute=Permission(Match(EXECUTE, EXECUTE), privilege=_OWN),
        accessed=Match(REFERENCED, REFERENCED),
        accessed_by=UpdateRule.WALKER,
        dirty=Match(CHANGED, CHANGED),
        dirty_by=UpdateRule.WALKER,
        syndrome=_syndrome,
    ),
    byte_order="little",
    entry_byte_order="big",  # be64_to_cpu() in pte_val(): arch/powerpc/include/asm/pgtable-be-types.h
    elf_machine="EM_PPC64",
    examples=EXAMPLES,
    figures=FIGURES,
    absent=(
        ("emulation", "unicorn 2.1 has no little-endian PowerPC, and no register that switches radix tables on"),
        ("huge pages of several entries", "radix has no contiguous hint"),
        ("a shadow-stack pattern", "hashst and hashchk use ordinary pages"),
    ),
    source=f"{_MANUAL}; arch/powerpc, v6.12",
)
PPC64 = replace(
    PPC64LE, name="ppc64", title="powerpc, radix, big-endian kernel", aliases=("powerpc64",), byte_order="big"
)
