# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of LoongArch64, written out: entries from the kernel's headers, and the bases of its vmemmap."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, ModeFigures, PgprotRole

_BITS = "arch/loongarch/include/asm/pgtable-bits.h, v6.12"
_PGTABLE = "arch/loongarch/include/asm/pgtable.h, v6.12"


def _known(
    mode: str,
    level: str,
    raw: int | bytes,
    kind: EntryKind,
    pfn: int | None,
    role: PgprotRole | None,
    source: str,
    profile: str | None = None,
) -> Example:
    return Example(mode, level, raw, kind, pfn, role, profile=profile, source=source)


EXAMPLES = (
    _known("4K-4level", "pte", 0x54E41D3, EntryKind.LEAF, 0x54E4, PgprotRole.KERNEL, f"{_BITS}: PAGE_KERNEL"),
    _known(
        "4K-4level",
        "pte",
        bytes.fromhex("d3 41 4e 05 00 00 00 00"),
        EntryKind.LEAF,
        0x54E4,
        PgprotRole.KERNEL,
        "the same in memory",
    ),
    _known("16K-3level", "pte", 0x153901D3, EntryKind.LEAF, 0x54E4, PgprotRole.KERNEL, f"{_BITS}: PAGE_KERNEL"),
    _known("64K-3level", "pte", 0x54E401D3, EntryKind.LEAF, 0x54E4, PgprotRole.KERNEL, f"{_BITS}: PAGE_KERNEL"),
    _known(
        "16K-3level",
        "pte",
        0x153900D1,
        EntryKind.LEAF,
        0x54E4,
        PgprotRole.KERNEL_RO,
        f"{_PGTABLE}: pte_wrprotect(PAGE_KERNEL)",
        "strict",
    ),
    _known(
        "16K-3level",
        "pmd",
        0x1C0011D3,
        EntryKind.LEAF,
        0x7000,
        PgprotRole.KERNEL_LARGE,
        "arch/loongarch/mm/init.c, v6.12: vmemmap_set_pmd()",
    ),
    _known(
        "16K-3level",
        "pmd",
        0x9000000012340000,
        EntryKind.TABLE,
        0x48D0,
        PgprotRole.TABLE,
        "arch/loongarch/include/asm/pgalloc.h, v6.12: pmd_populate_kernel()",
    ),
    _known("16K-3level", "pte", 0, EntryKind.NONE, None, None, f"{_PGTABLE}: pte_none()"),
    _known(
        "16K-3level", "pte", 0x40, EntryKind.NONE, None, None, f"{_PGTABLE}: pte_none() of a page whose buddy is global"
    ),
)

#: The direct map is hvolab's own, see description.py.
_LAYOUT = "arch/loongarch/include/asm/pgtable.h and sparsemem.h, v6.12, with VALEN and PALEN 48"


def _figures(mode: str, vmemmap_base: int, huge_page: int) -> ModeFigures:
    """Return the figures of a mode; a table fills a page, so the vmemmap of a huge page is eight pages of any size."""
    return ModeFigures(mode, 0xFFFF800000000000, vmemmap_base, ((huge_page, 7),), _LAYOUT)


FIGURES = (
    _figures("16K-3level", 0xFFFFFF0000000000, 0x2000000),
    _figures("4K-4level", 0xFFFFFC0000000000, 0x200000),
    _figures("64K-3level", 0xFFFFFFC000000000, 0x20000000),
    _figures("64K-2level", 0xFFFF83C000000000, 0x20000000),
)
