# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of riscv from running kernels and the specification: entries and figures, written out in full."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, ModeFigures, PgprotRole

_SEEN = "memory of Debian's 6.12.107, riscv64"
_SPEC = "RISC-V privileged specification"
_LAYOUT = "Documentation/arch/riscv/vm-layout.rst; Documentation/mm/vmemmap_dedup.rst"
_LEAF, _TABLE, _NONE, _ILLEGAL = EntryKind.LEAF, EntryKind.TABLE, EntryKind.NONE, EntryKind.ILLEGAL
_KERNEL, _RO, _LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE
_57 = "Sv57"

EXAMPLES = (
    Example(_57, "pmd", 0x000000004F3000E7, _LEAF, 0x13CC00, _LARGE, source=_SEEN),
    Example(_57, "pgd", 0x000000004F77B401, _TABLE, 0x13DDED, PgprotRole.TABLE, source=_SEEN),
    Example(_57, "pmd", 0x00000000402B4401, _TABLE, 0x100AD1, PgprotRole.TABLE, source=_SEEN),
    Example(_57, "pte", bytes.fromhex("e7 0c 2b 40 00 00 00 00"), _LEAF, 0x100AC3, _KERNEL, source=_SEEN),
    Example(_57, "pte", 0x00000000402B0CE7, _LEAF, 0x100AC3, _RO, profile="linux", source=f"{_SEEN}: a writable tail"),
    Example("Sv39", "pte", 0x00000000402B0CE7, _LEAF, 0x100AC3, _KERNEL, source=f"{_SEEN}, Sv39"),
    Example("Sv48", "pte", 0x00000000402B0CE7, _LEAF, 0x100AC3, _KERNEL, source=f"{_SEEN}, Sv48"),
    Example(
        *(_57, "pte", 0x00000000402B0CE3, _LEAF, 0x100AC3, _RO),
        profile="strict",
        source="PAGE_KERNEL_READ in arch/riscv/include/asm/pgtable.h: 0xE3",
    ),
    Example(
        *(_57, "pte", 0x80000000402B20E7, _LEAF, 0x100AC0),
        features=("svnapot",),
        source=f"{_SPEC}, Svnapot: 0b1000 below the PPN of a 64 KiB page",
    ),
    Example(
        *(_57, "pte", 0x80000000402B10E7, _ILLEGAL),
        features=("svnapot",),
        source=f"{_SPEC}, Svnapot: 0b0100 is reserved",
    ),
    Example(_57, "pte", 0x80000000402B20E7, _ILLEGAL, source=f"{_SPEC}: bit 63 is reserved without Svnapot"),
    Example(
        _57, "pte", 0x20000000402B0CE7, _LEAF, 0x100AC3, features=("svpbmt",), source=f"{_SPEC}, Svpbmt: bit 61 is NC"
    ),
    Example(_57, "pte", 0x60000000402B0CE7, _ILLEGAL, features=("svpbmt",), source=f"{_SPEC}, Svpbmt: 3 is reserved"),
    Example(_57, "pte", 0x20000000402B0CE7, _ILLEGAL, source=f"{_SPEC}: bit 61 is reserved without Svpbmt"),
    Example(_57, "pte", 0x00400000402B0CE7, _ILLEGAL, source=f"{_SPEC}: bits 60:54 are reserved"),
    Example(_57, "pte", 0x00000000402B0CE5, _ILLEGAL, source=f"{_SPEC}: W without R is reserved"),
    Example(_57, "pte", 0x00000000402B0CED, _ILLEGAL, source=f"{_SPEC}: W without R is reserved, with X too"),
    Example(_57, "pte", 0x00000000402B0CE6, _NONE, source=f"{_SPEC}: V clear, not valid"),
    Example(_57, "pte", 0x00000000402B0C01, _ILLEGAL, source=f"{_SPEC}: a pointer at the last level faults"),
    Example(_57, "pmd", 0x000000004F3004E7, _ILLEGAL, source=f"{_SPEC}: a misaligned superpage faults"),
    Example(_57, "pmd", 0x00000000402B4481, _ILLEGAL, source=f"{_SPEC}: D of a pointer is reserved"),
)

_SIZES = ((0x200000, 7), (0x40000000, 4095))
FIGURES = (
    ModeFigures("Sv39", 0xFFFFFFD600000000, 0xFFFFFFC500000000, _SIZES, _LAYOUT),
    ModeFigures("Sv48", 0xFFFFAF8000000000, 0xFFFF8D8000000000, _SIZES, _LAYOUT),
    ModeFigures(_57, 0xFF60000000000000, 0xFF1C000000000000, _SIZES, _LAYOUT),
)
