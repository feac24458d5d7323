# SPDX-License-Identifier: GPL-2.0-only
"""The description of x86_64: modes, pgprots, features, traits."""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import (
    Architecture,
    Feature,
    Field,
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
from hvolab_x86_64.emulation import EMULATION
from hvolab_x86_64.entries import FORMAT, PA_BITS, PAGE_SHIFT
from hvolab_x86_64.faults import syndrome
from hvolab_x86_64.reference_values import EXAMPLES, FIGURES

_TYPES = "arch/x86/include/asm/pgtable_types.h"
_LAYOUT = "Documentation/arch/x86/x86_64/mm.rst"
_TIB = 1 << 40
_TEXT = 0xFFFFFFFF81000000

_FOUR = PagingMode(
    name="4-level",
    summary="48-bit VA, 4 KiB pages",
    page_shift=PAGE_SHIFT,
    levels=tiled_levels(PAGE_SHIFT, 48),
    va_bits=48,
    pa_bits=PA_BITS,
    format=FORMAT,
    direct_map_base=0xFFFF888000000000,
    vmemmap_base=0xFFFFEA0000000000,
    origin=LinearOrigin.ZERO,
    vmemmap_level="pmd",
    direct_map_level="pud",
    huge_page_levels=(("pmd", 1), ("pud", 1)),
    direct_map_size=64 * _TIB,
    text_base=_TEXT,
    source=_LAYOUT,
)
_FIVE = replace(
    _FOUR,
    name="5-level",
    summary="57-bit VA, 4 KiB pages",
    levels=tiled_levels(PAGE_SHIFT, 57),
    va_bits=57,
    direct_map_base=0xFF11000000000000,
    vmemmap_base=0xFFD4000000000000,
    direct_map_size=32 * 1024 * _TIB,
)

_RO, _LARGE, _EXEC = PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE, PgprotRole.KERNEL_EXEC
_WITH_DIRTY = f"{_TYPES}: Dirty was set up to v6.5"
_WITHOUT_DIRTY = 'f788b71768ff ("x86/mm: Remove _PAGE_DIRTY from kernel RO pages", v6.6)'
_RW, _ACCESSED, _DIRTY, _NX = 1 << 1, 1 << 5, 1 << 6, 1 << 63

X86_64 = Architecture(
    name="x86_64",
    title="x86-64 (Intel 64, AMD64)",
    aliases=("amd64", "x86-64", "intel64"),
    modes=(_FOUR, _FIVE),
    pgprots=(
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", values("P", "RW", "A", "D", "G", "NX"), source=_TYPES),
        Pgprot(_RO, "PAGE_KERNEL_RO", values("P", "A", "D", "G", "NX"), releases=("6.1",), source=_WITH_DIRTY),
        Pgprot(
            *(_RO, "PAGE_KERNEL_RO", values("P", "A", "G", "NX")),
            source=f"{_TYPES}: RW=0 with D=1 means shadow stack",
            commit=_WITHOUT_DIRTY,
        ),
        Pgprot(_LARGE, "PAGE_KERNEL_LARGE", values("P", "RW", "A", "D", "PSE", "G", "NX"), source=_TYPES),
        Pgprot(_EXEC, "PAGE_KERNEL_ROX", values("P", "A", "D", "G"), releases=("6.1",), source=_WITH_DIRTY),
        Pgprot(_EXEC, "PAGE_KERNEL_ROX", values("P", "A", "G"), source=_TYPES, commit=_WITHOUT_DIRTY),
        Pgprot(PgprotRole.TABLE, "_PAGE_TABLE", values("P", "RW", "US", "A", "D"), source="pmd_populate_kernel()"),
    ),
    features=(
        Feature(
            "pti",
            "page-table isolation: kernel mappings are not global",
            clears=("G",),
            source="arch/x86/mm/pti.c, __default_kernel_pte_mask",
        ),
        Feature(
            "sme",
            "secure memory encryption: the C bit, here bit 47 as on the first processors that had it",
            adds=(Field("C", 47, 1, "encrypted"),),
            places=range(32, 52),
            sets=values("C"),
            source="AMD APM 2, section 7.10; CPUID 8000_001F EBX[5:0]",
        ),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.FREE,
        memory_order=MemoryOrder.TSO,
        bootmem_info=True,
        source="Intel SDM 3A, sections 5.10 and 10.2; arch/x86/Kconfig HAVE_BOOTMEM_INFO_NODE",
    ),
    mmu=MmuRules(
        read=Permission(),
        write=Permission(leaf=Match(_RW, _RW), tables=Match(_RW, _RW)),
        execute=Permission(leaf=Match(_NX, 0), tables=Match(_NX, 0)),
        accessed=Match(_ACCESSED, _ACCESSED),
        accessed_by=UpdateRule.WALKER,
        dirty=Match(_DIRTY, _DIRTY),
        dirty_by=UpdateRule.WALKER,
        syndrome=syndrome,
        shadow_stack=Match(_RW | _DIRTY, _DIRTY),
        table_accessed=Match(_ACCESSED, _ACCESSED),
    ),
    zone_limits=(ZoneLimit("DMA", 1 << 24), ZoneLimit("DMA32", 1 << 32)),
    page_flags=(
        PageFlags(
            zones=("DMA", "DMA32", "NORMAL", "MOVABLE", "DEVICE"),
            node_bits=10,
            zone_bits=3,
            cpupid_bits=21,
            source="BTF of Debian's kernels 6.1.0-50, 6.12.117 and 7.2.13 for amd64: NODES_SHIFT 10, NR_CPUS 8192",
        ),
    ),
    elf_machine="EM_X86_64",
    emulation=EMULATION,
    examples=EXAMPLES,
    figures=FIGURES,
    source="Intel SDM 3A chapter 5; AMD APM 2 chapter 5; arch/x86, v6.12",
)
