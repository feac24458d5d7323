# SPDX-License-Identifier: GPL-2.0-only
"""The description of riscv: Sv39, Sv48 and Sv57, pgprots, features, traits."""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import (
    Access,
    Architecture,
    EntryKind,
    EntryRule,
    FaultKind,
    Feature,
    Field,
    FieldValues,
    LinearOrigin,
    LiveEntryRule,
    Match,
    MemoryOrder,
    MmuRules,
    PageFlags,
    PagingMode,
    Permission,
    Pgprot,
    PgprotRole,
    Traits,
    UpdateRule,
    ZoneLimit,
    tiled_levels,
    values,
)
from hvolab_riscv.emulation import EMULATION
from hvolab_riscv.entries import NAPOT_LEAF, PA_BITS, PAGE_SHIFT, R, U, W, X, entry_format
from hvolab_riscv.reference_values import EXAMPLES, FIGURES

_BITS = "arch/riscv/include/asm/pgtable.h and pgtable-bits.h"
_SVPBMT = "RISC-V privileged specification, Svpbmt"
_FALLBACK = "no PAGE_KERNEL_RO in arch/riscv: include/linux/pgtable.h falls back to PAGE_KERNEL"
_STRUCT_PAGE_MAX_SHIFT = 6
#: KERNEL_LINK_ADDR: the last 2 GiB of the VA space.
_TEXT = 0xFFFFFFFF80000000


def _mode(name: str, va_bits: int, page_offset: int, direct_map_size: int) -> PagingMode:
    """Return a mode: all its levels index nine bits, and every level may hold leaves."""
    levels = tiled_levels(PAGE_SHIFT, va_bits)
    vmalloc = 1 << (va_bits - 3)
    vmemmap = 1 << (va_bits - PAGE_SHIFT - 1 + _STRUCT_PAGE_MAX_SHIFT)
    gigantic = next(level.name for level in levels if level.shift == 30)
    return PagingMode(
        name=name,
        summary=f"{va_bits}-bit VA, 4 KiB pages",
        page_shift=PAGE_SHIFT,
        levels=levels,
        va_bits=va_bits,
        pa_bits=PA_BITS,
        format=entry_format(levels),
        direct_map_base=page_offset,
        vmemmap_base=page_offset - vmalloc - vmemmap,
        origin=LinearOrigin.RAM,
        vmemmap_level="pmd",
        direct_map_level=gigantic,
        huge_page_levels=(("pmd", 1), (gigantic, 1)),
        direct_map_size=direct_map_size,
        text_base=_TEXT,
        source="Documentation/arch/riscv/vm-layout.rst; arch/riscv/include/asm/pgtable.h",
    )


_CAUSES = {Access.READ: 13, Access.WRITE: 15, Access.EXECUTE: 12, Access.ATOMIC: 15}
#: Causes of other kinds: access faults, and addresses that are not aligned.
_OTHER_CAUSES = {
    FaultKind.ABSENT: {Access.READ: 5, Access.WRITE: 7, Access.EXECUTE: 1, Access.ATOMIC: 7},
    FaultKind.ALIGNMENT: {Access.READ: 4, Access.WRITE: 6, Access.EXECUTE: 0, Access.ATOMIC: 6},
}


def _syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return cause and value of a fault. Privileged specification, scause, stval."""
    del depth  # no register has it
    return values(scause=_OTHER_CAUSES.get(kind, _CAUSES)[access], stval=va)


_FOUR_NODES = PageFlags(
    zones=("DMA32", "NORMAL", "MOVABLE", "DEVICE"),
    node_bits=2,
    zone_bits=2,
    cpupid_bits=15,
    releases=("6.1", "6.12", "6.12.117"),
    source="BTF of Debian's kernel 6.12.117 for riscv64: NODES_SHIFT 2, NR_CPUS 128; no 6.1 was read",
)
_MORE_CPUS = "BTF of Debian's kernel 7.2.13 for riscv64: NODES_SHIFT 2, NR_CPUS 256"

_A, _D = 1 << 6, 1 << 7
_KERNEL = values("V", "R", "W", "G", "A", "D")
_READ = values("V", "R", "G", "A", "D")

RISCV = Architecture(
    name="riscv",
    title="RISC-V, 64-bit",
    aliases=("riscv64",),
    modes=(
        _mode("Sv48", 48, 0xFFFFAF8000000000, 64 << 40),
        _mode("Sv39", 39, 0xFFFFFFD600000000, 128 << 30),
        _mode("Sv57", 57, 0xFF60000000000000, 32 << 50),
    ),
    pgprots=(
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", _KERNEL, source=_BITS),
        Pgprot(PgprotRole.KERNEL_RO, "PAGE_KERNEL", _KERNEL, profiles=("linux",), source=_FALLBACK),
        Pgprot(PgprotRole.KERNEL_RO, "PAGE_KERNEL_READ", _READ, profiles=("strict",), source=_BITS),
        Pgprot(PgprotRole.KERNEL_LARGE, "PAGE_KERNEL", _KERNEL, source=_BITS),
        Pgprot(PgprotRole.KERNEL_EXEC, "PAGE_KERNEL_READ_EXEC", values("V", "R", "X", "G", "A", "D"), source=_BITS),
        Pgprot(PgprotRole.TABLE, "_PAGE_TABLE", values("V"), source=_BITS),
    ),
    features=(
        Feature(
            "svnapot",
            "64 KiB pages out of sixteen naturally aligned entries",
            forms=(NAPOT_LEAF,),
            huge_page_levels=(("pte", 16),),
            source="RISC-V privileged specification, Svnapot",
        ),
        Feature(
            "svpbmt",
            "page-based memory types",
            adds=(Field("PBMT", 61, 2, "memory type: 0 PMA, 1 NC, 2 IO"),),
            adds_to=(EntryKind.LEAF,),
            rules=(EntryRule(Match(3 << 61, 3 << 61), "PBMT 3 is reserved", _SVPBMT),),
            source=_SVPBMT,
        ),
        Feature(
            "svadu",
            "the walker sets A and D",
            mmu=(("accessed_by", UpdateRule.WALKER), ("dirty_by", UpdateRule.WALKER)),
            source="RISC-V privileged specification, Svadu; without it Svade: an access with A or D clear faults",
        ),
        Feature(
            "ztso",
            "total store order",
            traits=(("memory_order", MemoryOrder.TSO),),
            source="RISC-V unprivileged specification, Ztso",
        ),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.FREE,
        memory_order=MemoryOrder.WEAK,
        compare_and_swap_needs_write=False,
        source="RISC-V privileged specification, SFENCE.VMA; unprivileged specification, RVWMO; "
        "arch/riscv/include/asm/cmpxchg.h, v6.12: LR.D reads, and SC.D is reached where the comparison holds",
    ),
    mmu=MmuRules(
        # sstatus.SUM is clear except for the kernel's own accesses to user memory, and never allows a fetch from there
        read=Permission(leaf=Match(R, R), privilege=Match(U, 0)),
        write=Permission(leaf=Match(W, W), privilege=Match(U, 0)),
        execute=Permission(leaf=Match(X, X), privilege=Match(U, 0)),
        accessed=Match(_A, _A),
        accessed_by=UpdateRule.SOFTWARE,
        dirty=Match(_D, _D),
        dirty_by=UpdateRule.SOFTWARE,
        syndrome=_syndrome,
        aligned_atomics=True,
    ),
    zone_limits=(ZoneLimit("DMA32", 1 << 32),),
    page_flags=(_FOUR_NODES, replace(_FOUR_NODES, cpupid_bits=16, releases=(), source=_MORE_CPUS)),
    ram_base=0x80000000,
    elf_machine="EM_RISCV",
    emulation=EMULATION,
    run_fields=("N",),
    examples=EXAMPLES,
    figures=FIGURES,
    source="RISC-V privileged specification; arch/riscv, v6.12",
)
