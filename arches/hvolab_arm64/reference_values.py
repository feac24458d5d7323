# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of arm64 from running kernels and the manual: entries and figures, written out in full."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, ModeFigures, PgprotRole

_SEEN = "memory of 6.12.107 with HVO selected, arm64"
_ARM = "Arm ARM DDI 0487, D8.3"
_PROT = f"{_ARM}; arch/arm64/include/asm/pgtable-prot.h: PAGE_KERNEL 0x00e8…703, PAGE_KERNEL_RO 0x00e0…783"
_LPA2 = f"{_ARM}: with LPA2 PA[51:50] stand in bits 9:8"
_HIGH = f"{_ARM}: PA[51:48] of the 64K granule stand in bits 15:12"
_LAYOUT = "arch/arm64/include/asm/memory.h; Documentation/mm/vmemmap_dedup.rst, worked out by hand"
_MOVED = "arch/arm64/mm/init.c: memstart_addr -= _PAGE_OFFSET(vabits_actual) - _PAGE_OFFSET(52), worked out by hand"
_LEAF, _TABLE, _NONE, _ILLEGAL = EntryKind.LEAF, EntryKind.TABLE, EntryKind.NONE, EntryKind.ILLEGAL
_KERNEL, _RO, _LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE
_4K, _4K52, _16K, _16K52, _64K, _64K52 = "4K-48bit", "4K-52bit", "16K-47bit", "16K-52bit", "64K-48bit", "64K-52bit"
_KPTI, _NOLVA, _LPA = ("kpti",), ("nolva",), ("lpa",)
_FALLBACK = f"{_PROT}; without LPA2 SH is back"

EXAMPLES = (
    Example(_4K, "pmd", 0x00680000FF600701, _LEAF, 0xFF600, _LARGE, source=_SEEN),
    Example(_4K, "pgd", 0x10000000FF9DF003, _TABLE, 0xFF9DF, PgprotRole.TABLE, source=_SEEN),
    Example(_4K, "pmd", 0x1000000040C86003, _TABLE, 0x40C86, PgprotRole.TABLE, source=_SEEN),
    Example(_4K, "pte", bytes.fromhex("03 57 c6 40 00 00 e8 00"), _LEAF, 0x40C65, _KERNEL, source=_SEEN),
    Example(_4K, "pte", 0x00E0000040C65783, _LEAF, 0x40C65, _RO, source=_SEEN),
    Example(_4K, "pte", 0x00E8000040C65F03, _LEAF, 0x40C65, _KERNEL, features=_KPTI, source=f"{_SEEN}, with KPTI"),
    Example(_4K, "pte", 0x00E0000040C65F83, _LEAF, 0x40C65, _RO, features=_KPTI, source=f"{_SEEN}, with KPTI"),
    Example(_4K, "pte", 0x00E8000040C65702, _NONE, source=f"{_ARM}: bit 0 clear, not valid whatever bit 1 is"),
    Example(_4K, "pte", 0x00E8000040C65701, _ILLEGAL, source=f"{_ARM}: 0b01 is reserved at level 3"),
    Example(_4K, "pte", 0x00E9000040C65703, _ILLEGAL, source=f"{_ARM}: bits 49:48 are RES0 below 52 bits of PA"),
    Example(_4K, "pgd", 0x00680000FF600701, _ILLEGAL, source=f"{_ARM}: no blocks at level 0 with 48 bits of PA"),
    Example(_4K, "pmd", 0x00680000FF601701, _ILLEGAL, source=f"{_ARM}: bits 20:17 and 15:12 of a 2 MiB block are RES0"),
    Example(_4K52, "pmd", 0x00680000FC800401, _LEAF, 0xFC800, _LARGE, source=f"{_SEEN}, LPA2"),
    Example(_4K52, "pmd", 0x1000000040C46003, _TABLE, 0x40C46, PgprotRole.TABLE, source=f"{_SEEN}, LPA2"),
    Example(_4K52, "pte", 0x00E8000040C02403, _LEAF, 0x40C02, _KERNEL, source=f"{_SEEN}, LPA2"),
    Example(_4K52, "pte", 0x00E0000040C02483, _LEAF, 0x40C02, _RO, source=f"{_SEEN}, LPA2"),
    Example(_4K52, "pte", 0x00E8000040C02503, _LEAF, 0x4000040C02, _KERNEL, source=_LPA2),
    Example(_16K, "pmd", 0x0068000042000701, _LEAF, 0x10800, source=_PROT),
    Example(_16K, "pte", 0x00E8000040C0C703, _LEAF, 0x10303, _KERNEL, source=_PROT),
    Example(_16K, "pte", 0x00E0000040C0C783, _LEAF, 0x10303, _RO, source=_PROT),
    Example(_16K52, "pte", 0x00E8000040C0C403, _LEAF, 0x10303, _KERNEL, source=_PROT),
    Example(_16K52, "pte", 0x00E0000040C0C583, _LEAF, 0x1000010303, _RO, source=_LPA2),
    Example(_64K, "pmd", 0x0068000060000701, _LEAF, 0x6000, source=_PROT),
    Example(_64K, "pte", 0x00E8000040C10703, _LEAF, 0x40C1, _KERNEL, source=_PROT),
    Example(_64K, "pte", 0x00E0000040C10783, _LEAF, 0x40C1, _RO, source=_PROT),
    Example(_64K52, "pte", 0x00E8000040C13703, _LEAF, 0x3000040C1, _KERNEL, source=_HIGH),
    Example(_64K52, "pte", 0x00E0000040C10783, _LEAF, 0x40C1, _RO, source=_PROT),
    Example(_4K52, "pte", 0x00E8000040C02703, _LEAF, 0x40C02, _KERNEL, features=_NOLVA, source=_FALLBACK),
    Example(_4K52, "pte", 0x00E9000040C02703, _ILLEGAL, features=_NOLVA, source=f"{_ARM}: bits 49:48 are RES0"),
    Example(_16K52, "pte", 0x00E8000040C0C703, _LEAF, 0x10303, _KERNEL, features=_NOLVA, source=_FALLBACK),
    Example(_64K52, "pte", 0x00E8000040C13703, _LEAF, 0x3000040C1, _KERNEL, features=_NOLVA, source=_HIGH),
    Example(_64K, "pte", 0x00E8000040C13703, _LEAF, 0x3000040C1, _KERNEL, features=_LPA, source=_HIGH),
    Example(_64K, "pte", 0x00E8000040C13703, _ILLEGAL, source=f"{_ARM}: bits 15:12 of a 64 KiB page are RES0"),
)

_SIZES_4K = ((0x10000, 0), (0x200000, 7), (0x2000000, 127), (0x40000000, 4095))
_SIZES_16K = ((0x200000, 0), (0x2000000, 7), (0x40000000, 255))
_SIZES_64K = ((0x200000, 0), (0x20000000, 7), (0x400000000, 255))
FIGURES = (
    ModeFigures("4K-39bit", 0xFFFFFF8000000000, 0xFFFFFFFEC0000000, _SIZES_4K, _LAYOUT),
    ModeFigures("4K-48bit", 0xFFFF000000000000, 0xFFFFFDFFC0000000, _SIZES_4K, _LAYOUT),
    ModeFigures("4K-52bit", 0xFFF0000000000000, 0xFFFFC1FFC0000000, _SIZES_4K, _LAYOUT),
    ModeFigures("16K-36bit", 0xFFFFFFF000000000, 0xFFFFFFFFB8000000, _SIZES_16K, _LAYOUT),
    ModeFigures("16K-47bit", 0xFFFF800000000000, 0xFFFFFFBFC0000000, _SIZES_16K, _LAYOUT),
    ModeFigures("16K-48bit", 0xFFFF000000000000, 0xFFFFFF7FC0000000, _SIZES_16K, _LAYOUT),
    ModeFigures("16K-52bit", 0xFFF0000000000000, 0xFFFFF03FC0000000, _SIZES_16K, _LAYOUT),
    ModeFigures("64K-42bit", 0xFFFFFC0000000000, 0xFFFFFFFF40000000, _SIZES_64K, _LAYOUT),
    ModeFigures("64K-48bit", 0xFFFF000000000000, 0xFFFFFFDFC0000000, _SIZES_64K, _LAYOUT),
    ModeFigures("64K-52bit", 0xFFF0000000000000, 0xFFFFFC1FC0000000, _SIZES_64K, _LAYOUT),
    # VMEMMAP_START of the 52-bit kernel, plus the struct pages of the distance by which memstart_addr moves
    ModeFigures("4K-52bit", 0xFFFF000000000000, 0xFFFFFDFFC0000000, _SIZES_4K, _MOVED, _NOLVA),
    ModeFigures("16K-52bit", 0xFFFF800000000000, 0xFFFFFFBFC0000000, _SIZES_16K, _MOVED, _NOLVA),
    ModeFigures("64K-52bit", 0xFFFF000000000000, 0xFFFFFFDFC0000000, _SIZES_64K, _MOVED, _NOLVA),
)
