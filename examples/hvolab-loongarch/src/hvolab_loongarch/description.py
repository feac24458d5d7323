# SPDX-License-Identifier: GPL-2.0-only
"""The description of LoongArch64: 4K, 16K and 64K pages, pgprots, traits.

One difference from Linux: its direct map is a window (CSR.DMW1, 0x9000000000000000) that no page table translates.
hvolab reaches all memory through page tables, and maps the direct map by leaves at the start of the kernel's mapped
VAs, where Linux has its modules and vmalloc area. It makes no difference to HVO, which only needs a direct map.
"""

from __future__ import annotations

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
    ZoneLimit,
    values,
)
from hvolab_loongarch.entries import NO_EXEC, NO_READ, PA_BITS, D, entry_format
from hvolab_loongarch.reference_values import EXAMPLES, FIGURES

_BITS = "arch/loongarch/include/asm/pgtable-bits.h"
_STRUCT_PAGE_SHIFT = 6
#: VALEN - 1 of the 3A5000 and of QEMU's la464: cpu_vabits. Mapped kernel VAs start at -(1 << cpu_vabits).
_CPU_VABITS = 47
_VM_MAP_BASE = (1 << 64) - (1 << _CPU_VABITS)
_NAMES = ("pgd", "pud", "pmd", "pte")


def _mode(page_shift: int, depth: int) -> PagingMode:
    """Return a page-table layout of arch/loongarch/Kconfig: every table fills a page."""
    bits = page_shift - 3
    names = ("pgd", *_NAMES[len(_NAMES) - depth + 1 :])
    shifts = [page_shift + bits * (depth - 1 - position) for position in range(depth)]
    va_bits = page_shift + bits * depth
    size = f"{1 << page_shift - 10}K"
    # vmemmap describes all PAs and ends with the kernel's mapped VAs, see VMALLOC_END
    end = _VM_MAP_BASE + (1 << min(va_bits, _CPU_VABITS))
    vmemmap_size = 1 << (PA_BITS - page_shift + _STRUCT_PAGE_SHIFT)
    return PagingMode(
        name=f"{size}-{depth}level",
        summary=f"{size} pages, {va_bits}-bit VA, {depth} levels",
        page_shift=page_shift,
        levels=tuple(Level(name, shift, bits) for name, shift in zip(names, shifts, strict=True)),
        va_bits=va_bits,
        pa_bits=PA_BITS,
        format=entry_format(names[:-1], page_shift, shifts[-2]),
        direct_map_base=_VM_MAP_BASE,
        vmemmap_base=end - vmemmap_size,
        origin=LinearOrigin.ZERO,
        vmemmap_level="pte" if depth == 2 else "pmd",
        direct_map_level=names[-2],
        huge_page_levels=((names[-2], 1),),
        split_roots=True,
        kernel_base=_VM_MAP_BASE,
        source="arch/loongarch/include/asm/pgtable.h and Kconfig (Page Table Layout)",
    )


#: Exception codes (ESTAT.Ecode): LoongArch Reference Manual, volume 1, table 21.
_INVALID = {Access.READ: 0x1, Access.WRITE: 0x2, Access.EXECUTE: 0x3, Access.ATOMIC: 0x2}
_DENIED = {Access.READ: 0x5, Access.WRITE: 0x4, Access.EXECUTE: 0x6, Access.ATOMIC: 0x4}


def _syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return exception code and bad VA: PIL, PIS, PIF without a valid entry; PME, PNR, PNX if the entry denies."""
    del depth  # no register has it: software refills the TLB
    codes = _DENIED if kind in {FaultKind.PERMISSION, FaultKind.DIRTY_FLAG} else _INVALID
    return values(ecode=codes[access], badv=va)


_KERNEL = values("V", "D", "G", "P", "W", MAT=1)

LOONGARCH = Architecture(
    name="loongarch",
    title="LoongArch, 64-bit",
    aliases=("loongarch64", "la64"),
    # without 4KB_3LEVEL and 16KB_2LEVEL: the vmemmap of 48 bits of PA is larger than all of their kernel VAs
    modes=(_mode(14, 3), _mode(12, 4), _mode(16, 3), _mode(16, 2)),
    pgprots=(
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", _KERNEL, source=_BITS),
        Pgprot(
            PgprotRole.KERNEL_RO,
            "PAGE_KERNEL",
            _KERNEL,
            profiles=("linux",),
            source="no PAGE_KERNEL_RO in arch/loongarch: include/linux/pgtable.h falls back to PAGE_KERNEL",
        ),
        Pgprot(
            PgprotRole.KERNEL_RO,
            "pte_wrprotect(PAGE_KERNEL)",
            values("V", "G", "P", MAT=1),
            profiles=("strict",),
            source="arch/loongarch/include/asm/pgtable.h: pte_wrprotect() clears WRITE and DIRTY",
        ),
        Pgprot(
            PgprotRole.KERNEL_LARGE,
            "PAGE_KERNEL, huge",
            _KERNEL,
            source="arch/loongarch/mm/init.c: vmemmap_set_pmd() adds HUGE and HGLOBAL",
        ),
        Pgprot(PgprotRole.TABLE, "table", values(), source="arch/loongarch/include/asm/pgalloc.h"),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.FREE,
        memory_order=MemoryOrder.WEAK,
        compare_and_swap_needs_write=False,
        source="set_pte() is a plain store and INVTLB flushes; a compare-and-swap is LL and SC, and one that fails "
        "does not reach SC: arch/loongarch/include/asm/cmpxchg.h",
    ),
    mmu=MmuRules(
        read=Permission(leaf=Match(NO_READ, 0)),
        write=Permission(leaf=Match(D, D)),
        execute=Permission(leaf=Match(NO_EXEC, 0)),
        accessed=None,
        accessed_by=UpdateRule.NOBODY,
        dirty=None,  # D is a permission: the walker never sets it, and the kernel keeps MODIFIED too
        dirty_by=UpdateRule.NOBODY,
        syndrome=_syndrome,
    ),
    zone_limits=(ZoneLimit("DMA32", 1 << 32),),
    ram_base=0x80000000,  # QEMU's virt: start of the larger part of RAM
    elf_machine="EM_LOONGARCH",
    examples=EXAMPLES,
    figures=FIGURES,
    source="LoongArch Reference Manual, volume 1, chapter 5; arch/loongarch, v6.12",
)
