# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of s390x, written out: entries from the kernel's header, figures from a running kernel."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, ModeFigures, PgprotRole

_MODE = "3-level"
_HEADER = "arch/s390/include/asm/pgtable.h, v6.12"
_MANUAL = "z/Architecture Principles of Operation, chapter 3: translation-specification exception"


def _known(
    level: str, raw: int | bytes, kind: EntryKind, pfn: int | None, role: PgprotRole | None, source: str
) -> Example:
    return Example(_MODE, level, raw, kind, pfn, role, source=source)


EXAMPLES = (
    _known("pte", 0x210013D, EntryKind.LEAF, 0x2100, PgprotRole.KERNEL, f"{_HEADER}: PAGE_KERNEL"),
    _known(
        "pte", bytes.fromhex("0000 0000 0210 013d"), EntryKind.LEAF, 0x2100, PgprotRole.KERNEL, "the same in memory"
    ),
    _known("pte", 0x2100315, EntryKind.LEAF, 0x2100, PgprotRole.KERNEL_RO, f"{_HEADER}: PAGE_KERNEL_RO"),
    _known("pmd", 0x2103503, EntryKind.LEAF, 0x2100, PgprotRole.KERNEL_LARGE, f"{_HEADER}: SEGMENT_KERNEL"),
    _known("pud", 0x80003507, EntryKind.LEAF, 0x80000, PgprotRole.KERNEL_LARGE, f"{_HEADER}: REGION3_KERNEL"),
    _known("pmd", 0x42000, EntryKind.TABLE, 0x42, PgprotRole.TABLE, f"{_HEADER}: _SEGMENT_ENTRY"),
    _known("pmd", 0x42800, EntryKind.TABLE, 0x42, None, f"{_HEADER}: a page table in the second half of a frame"),
    _known("pud", 0x44007, EntryKind.TABLE, 0x44, PgprotRole.TABLE, f"{_HEADER}: _REGION3_ENTRY"),
    _known("pte", 0x400, EntryKind.NONE, None, None, f"{_HEADER}: pte_none()"),
    _known("pmd", 0x20, EntryKind.NONE, None, None, f"{_HEADER}: _SEGMENT_ENTRY_EMPTY"),
    _known("pud", 0x24, EntryKind.NONE, None, None, f"{_HEADER}: _REGION3_ENTRY_EMPTY"),
    _known("pte", 0x2100B3D, EntryKind.ILLEGAL, None, None, _MANUAL),
    _known("pmd", 0x42004, EntryKind.ILLEGAL, None, None, _MANUAL),
)

FIGURES = (
    ModeFigures(
        _MODE,
        direct_map_base=0,
        vmemmap_base=0x37200000000,
        huge_pages=((0x100000, 3), (0x80000000, 8191)),
        source="commit 00a34d5a99c0: kernel_page_tables, and the frames freed for 1M and 2G pages",
    ),
)
