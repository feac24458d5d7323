# SPDX-License-Identifier: GPL-2.0-only
"""The description of arm64: three granules, VA of 36 to 52 bits, pgprots, features, traits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hvolab.arch import (
    Access,
    Architecture,
    EntryUpdateRule,
    FaultKind,
    Feature,
    FieldValues,
    LinearOrigin,
    LiveEntryRule,
    Match,
    MemoryOrder,
    MmuRules,
    Overrides,
    PageFlags,
    PagingMode,
    Permission,
    Pgprot,
    PgprotRole,
    ReleaseChange,
    Traits,
    UpdateRule,
    ZoneLimit,
    tiled_levels,
    values,
)
from hvolab_arm64.emulation import EMULATION
from hvolab_arm64.entries import entry_format
from hvolab_arm64.reference_values import EXAMPLES, FIGURES

_PROT = "arch/arm64/include/asm/pgtable-prot.h"
_HWDEF = "arch/arm64/include/asm/pgtable-hwdef.h"
_STRUCT_PAGE_SHIFT = 6
_GIB = 1 << 30
#: MODULES_VSIZE: the kernel's image begins where the modules end.
_MODULES = 2 * _GIB


@dataclass(frozen=True)
class Granule:
    """One base page size and its huge pages.

    name                its name
    shift               log2 of its bytes
    cont_pte, cont_pmd  entries of a contiguous run at the two last levels
    vmemmap_by_blocks   whether blocks map the vmemmap, and not pages
    pud_pages           whether hugetlb offers leaves of the level above the PMD
    lpa2                whether 52 bits of PA take LPA2, with high bits in place of SH
    """

    name: str
    shift: int
    cont_pte: int
    cont_pmd: int
    vmemmap_by_blocks: bool
    pud_pages: bool
    lpa2: bool


_4K = Granule("4K", 12, 16, 16, vmemmap_by_blocks=True, pud_pages=True, lpa2=True)
_16K = Granule("16K", 14, 128, 32, vmemmap_by_blocks=False, pud_pages=False, lpa2=True)
_64K = Granule("64K", 16, 32, 32, vmemmap_by_blocks=False, pud_pages=False, lpa2=False)


def _mode(granule: Granule, va_bits: int, va_bits_min: int, pa_bits: int = 48) -> PagingMode:
    """Return a mode; ``va_bits_min`` is the width to which the kernel can fall back (VA_BITS_MIN)."""
    levels = tiled_levels(granule.shift, va_bits)
    lpa2 = granule.lpa2 and pa_bits == 52
    middle, upper = levels[-2], levels[-3] if len(levels) > 2 else None
    # blocks: at the PMD always; above it for 4K, and for the others with 52 bits of PA; nowhere above level 0
    blocks = [middle]
    if upper is not None and (granule.pud_pages or pa_bits == 52):
        blocks.append(upper)
    if lpa2 and granule.pud_pages and len(levels) == 5:
        blocks.append(levels[1])
    huge = [("pte", granule.cont_pte), (middle.name, 1), (middle.name, granule.cont_pmd)]
    if granule.pud_pages and upper is not None:
        huge.append((upper.name, 1))
    # VMEMMAP_SIZE covers the direct map of VA_BITS_MIN: from PAGE_OFFSET to _PAGE_END(VA_BITS_MIN)
    page_offset, page_end = (1 << 64) - (1 << va_bits), (1 << 64) - (1 << (va_bits_min - 1))
    size = (page_end - page_offset >> granule.shift) << _STRUCT_PAGE_SHIFT
    return PagingMode(
        name=f"{granule.name}-{va_bits}bit",
        summary=f"{granule.name} granule, {va_bits}-bit VA" + (", LPA2" if lpa2 else ""),
        page_shift=granule.shift,
        levels=levels,
        va_bits=va_bits,
        pa_bits=pa_bits,
        format=entry_format(levels, blocks, pa_bits=pa_bits, lpa2=lpa2),
        direct_map_base=page_offset,
        vmemmap_base=(1 << 64) - _GIB - size,
        origin=LinearOrigin.RAM,
        vmemmap_level=middle.name if granule.vmemmap_by_blocks else "pte",
        direct_map_level=upper.name if granule.pud_pages and upper is not None else middle.name,
        huge_page_levels=tuple(huge),
        split_roots=True,
        direct_map_size=page_end - page_offset,
        text_base=page_end + _MODULES,
        source="arch/arm64/include/asm/memory.h; Documentation/arch/arm64/memory.rst",
    )


_MODES = (
    _mode(_4K, 48, 48),
    _mode(_4K, 39, 39),
    _mode(_4K, 52, 48, 52),
    _mode(_16K, 47, 47),
    _mode(_16K, 36, 36),
    _mode(_16K, 48, 48),
    _mode(_16K, 52, 47, 52),
    _mode(_64K, 48, 48),
    _mode(_64K, 42, 42),
    _mode(_64K, 52, 48, 52),
)

#: Attributes of a mode that depend on the widths of VA and PA in use.
_OF_WIDTHS = (
    *("levels", "va_bits", "pa_bits", "format", "direct_map_base", "direct_map_size", "vmemmap_base"),
    *("vmemmap_level", "direct_map_level", "huge_page_levels"),
)


def _with_widths_of(mode: str, other: PagingMode) -> tuple[str, Overrides]:
    """Return the overrides that give the mode of that name the widths of another."""
    return mode, tuple((name, getattr(other, name)) for name in _OF_WIDTHS)


#: A 52-bit kernel on a CPU that translates VA_BITS_MIN: it moves memory up in the direct map, and with it the struct
#: pages, to the addresses of a kernel built for that width. Only 64K has 52 bits of PA without 52 bits of VA.
_WITHOUT_LVA = (
    _with_widths_of("4K-52bit", _mode(_4K, 48, 48)),
    _with_widths_of("16K-52bit", _mode(_16K, 47, 47)),
    _with_widths_of("64K-52bit", _mode(_64K, 48, 48, 52)),
)
_WITH_LPA = (
    _with_widths_of("64K-48bit", _mode(_64K, 48, 48, 52)),
    _with_widths_of("64K-42bit", _mode(_64K, 42, 42, 52)),
)

_EC_INSTRUCTION, _EC_DATA = 0x21, 0x25
_IL, _WNR = 1 << 25, 1 << 6
_STATUS = {
    FaultKind.TRANSLATION: 0x04,
    FaultKind.RESERVED: 0x04,
    FaultKind.ABSENT: 0x10,
    FaultKind.ACCESS_FLAG: 0x08,
    FaultKind.DIRTY_FLAG: 0x0C,
    FaultKind.PERMISSION: 0x0C,
    FaultKind.ALIGNMENT: 0x21,
}
#: Faults whose status has no level.
_WITHOUT_LEVEL = frozenset({FaultKind.ABSENT, FaultKind.ALIGNMENT})
_LAST_LEVEL = 3


def _syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return ESR_EL1 and FAR_EL1 of an abort taken from EL1. Arm ARM D24.2.40, ISS encodings for aborts.

    WnR of an atomic access is 0 if a read would fault too.
    """
    status = _STATUS[kind] | (0 if kind in _WITHOUT_LEVEL else _LAST_LEVEL - depth)
    kind_of_abort = _EC_INSTRUCTION if access & Access.EXECUTE else _EC_DATA
    reads_fault = kind is not FaultKind.PERMISSION and access & Access.READ
    write = _WNR if access & Access.WRITE and not reads_fault else 0
    return values(esr=kind_of_abort << 26 | _IL | write | status, far=va)


_RDONLY, _AF = 1 << 7, 1 << 10
_USER, _APTABLE_NO_USER = 1 << 6, 1 << 61
_PXN, _PXNTABLE, _APTABLE_RO = 1 << 53, 1 << 59, 1 << 62
_NOT_PXN = Permission(leaf=Match(_PXN, 0), tables=Match(_PXNTABLE, 0))
#: EL1 never executes a page that EL0 may write. Arm ARM D8.4.1, stage 1 execute permission.
_EXECUTE = replace(
    _NOT_PXN,
    privilege=Match(_USER, 0),
    alternatives=(
        replace(_NOT_PXN, privilege=Match(_RDONLY, _RDONLY)),
        replace(_NOT_PXN, some_table=Match(_APTABLE_NO_USER, _APTABLE_NO_USER)),
        replace(_NOT_PXN, some_table=Match(_APTABLE_RO, _APTABLE_RO)),
    ),
)


#: Modes with address bits in place of SH.
_LPA2_MODES = ("4K-52bit", "16K-52bit")


def _pgprots(shared: FieldValues, modes: tuple[str, ...]) -> tuple[Pgprot, ...]:
    """Return the kernel's protections with the shareability of these modes."""

    def kernel(kind: int, *extra: str) -> FieldValues:
        return values("AF", "PXN", "UXN", *extra, TYPE=kind) + shared

    executable = values("AF", "UXN", "DIRTY", "RDONLY", TYPE=3) + shared
    large_source = f"{_PROT}; mk_pmd_sect_prot()"
    return (
        Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", kernel(3, "DBM", "DIRTY"), modes=modes, source=_PROT),
        Pgprot(PgprotRole.KERNEL_RO, "PAGE_KERNEL_RO", kernel(3, "DIRTY", "RDONLY"), modes=modes, source=_PROT),
        Pgprot(PgprotRole.KERNEL_LARGE, "PAGE_KERNEL", kernel(1, "DBM"), modes=modes, source=large_source),
        Pgprot(PgprotRole.KERNEL_EXEC, "PAGE_KERNEL_ROX", executable, modes=modes, source=_PROT),
    )


ARM64 = Architecture(
    name="arm64",
    title="arm64 (AArch64)",
    aliases=("aarch64",),
    modes=_MODES,
    changes=(
        ReleaseChange(
            "mm-2026",
            "HVO of the series of 2026: clear AF, flush, compare-and-swap; leaves may be split live",
            traits=(("entry_update", EntryUpdateRule.CLEAR_ACCESSED_AND_EXCHANGE), ("live_size_change", True)),
            mmu=(("accessed_by", UpdateRule.WALKER),),
            source="arch/arm64, series of 2026 (not in a release): needs FEAT_HAFDBS and FEAT_BBM level 2",
        ),
    ),
    pgprots=(
        *_pgprots(values(), _LPA2_MODES),
        *_pgprots(values(SH=3), ()),
        Pgprot(PgprotRole.TABLE, "PMD_TYPE_TABLE", values("UXNTABLE", TYPE=3), source=_HWDEF),
    ),
    features=(
        Feature(
            "kpti",
            "kernel page-table isolation: kernel mappings are not global",
            sets=values("NG"),
            source=f"{_PROT}: PTE_MAYBE_NG",
        ),
        Feature(
            "hafdbs",
            "hardware update of the access flag and dirty state",
            mmu=(("accessed_by", UpdateRule.WALKER),),
            source="Arm ARM D8.4.6, FEAT_HAFDBS",
        ),
        Feature(
            "nolva",
            "a 52-bit kernel on a CPU without 52-bit VA, or booted with arm64.nolva: VA_BITS_MIN are in use",
            sets=values(SH=3),
            geometry=_WITHOUT_LVA,
            modes=tuple(mode for mode, _ in _WITHOUT_LVA),
            source="arch/arm64/include/asm/memory.h: vabits_actual; arch/arm64/mm/init.c: memstart_addr",
        ),
        Feature(
            "lpa",
            "a kernel built for 52 bits of PA (ARM64_PA_BITS_52), with a smaller VA",
            geometry=_WITH_LPA,
            modes=tuple(mode for mode, _ in _WITH_LPA),
            source=f"Arm ARM D8.3, FEAT_LPA; {_HWDEF}: PTE_ADDR_HIGH",
        ),
    ),
    traits=Traits(
        live_entries=LiveEntryRule.BREAK_BEFORE_MAKE,
        memory_order=MemoryOrder.WEAK,
        uncached_without_accessed=True,
        source="Arm ARM D8.16.1, break-before-make; commit 060a2c92d1b6 deselected HVO for it in v6.1",
    ),
    mmu=MmuRules(
        read=Permission(),
        write=Permission(leaf=Match(_RDONLY, 0), tables=Match(_APTABLE_RO, 0)),
        execute=_EXECUTE,
        accessed=Match(_AF, _AF),
        accessed_by=UpdateRule.SOFTWARE,
        dirty=None,
        dirty_by=UpdateRule.NOBODY,
        syndrome=_syndrome,
        aligned_atomics=True,  # FEAT_LSE2, which allows some of them, is not declared
        reserved_faults=False,  # RES0 bits of descriptors are ignored
    ),
    zone_limits=(ZoneLimit("DMA", 1 << 32),),
    page_flags=(
        PageFlags(
            zones=("DMA", "DMA32", "NORMAL", "MOVABLE", "DEVICE"),
            node_bits=4,
            zone_bits=3,
            cpupid_bits=17,
            source="BTF of Debian's kernels 6.12.117 and 7.2.13 for arm64: NODES_SHIFT 4, NR_CPUS 512",
        ),
    ),
    ram_base=0x40000000,
    elf_machine="EM_AARCH64",
    emulation=EMULATION,
    run_fields=("CONT",),
    examples=EXAMPLES,
    figures=FIGURES,
    source="Arm ARM DDI 0487 chapter D8; arch/arm64, v6.12",
)
