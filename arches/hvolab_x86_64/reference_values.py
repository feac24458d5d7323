# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of x86_64 from running kernels and manuals: entries and figures, written out in full."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, ModeFigures, PgprotRole

_SEEN = "memory of Debian's 6.12.107, amd64"
_SDM = "Intel SDM 3A, section 5.5"
_LAYOUT = "Documentation/arch/x86/x86_64/mm.rst; Documentation/mm/vmemmap_dedup.rst"
_LEAF, _TABLE, _NONE, _ILLEGAL = EntryKind.LEAF, EntryKind.TABLE, EntryKind.NONE, EntryKind.ILLEGAL
_KERNEL, _RO, _LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE
_4 = "4-level"

EXAMPLES = (
    Example(_4, "pmd", 0x80000000BCE001E3, _LEAF, 0xBCE00, _LARGE, source=_SEEN),
    Example(_4, "pgd", 0x00000000BFE56067, _TABLE, 0xBFE56, PgprotRole.TABLE, source=_SEEN),
    Example(_4, "pmd", 0x00000000054E5067, _TABLE, 0x54E5, PgprotRole.TABLE, source=_SEEN),
    Example(_4, "pte", bytes.fromhex("63 41 4e 05 00 00 00 80"), _LEAF, 0x54E4, _KERNEL, source=_SEEN),
    Example(_4, "pte", 0x80000000054E4121, _LEAF, 0x54E4, _RO, source=_SEEN),
    Example("5-level", "pte", 0x80000000054E4121, _LEAF, 0x54E4, _RO, source=f"{_SEEN}, booted with LA57"),
    Example(_4, "pmd", 0x80000000BFC000E3, _LEAF, 0xBFC00, _LARGE, features=("pti",), source=f"{_SEEN}, with PTI"),
    Example(_4, "pte", 0x8000000005485063, _LEAF, 0x5485, _KERNEL, features=("pti",), source=f"{_SEEN}, with PTI"),
    Example(_4, "pte", 0x8000000005485021, _LEAF, 0x5485, _RO, features=("pti",), source=f"{_SEEN}, with PTI"),
    Example(
        *(_4, "pte", 0x80000000BCFD0161, _LEAF, 0xBCFD0, _RO), release="6.1", source="memory of Debian's 6.1, amd64"
    ),
    Example(
        *(_4, "pte", 0x80008000054E4163, _LEAF, 0x54E4, _KERNEL), features=("sme",), source="AMD APM 2, section 7.10.5"
    ),
    Example(_4, "pte", 0x80000000054E4162, _NONE, source=f"{_SDM}: bit 0 clear, not present"),
    Example(_4, "pmd", 0x80000000BCE021E3, _ILLEGAL, source=f"{_SDM}: bits 20:13 of a 2 MiB leaf are reserved"),
    Example(_4, "pud", 0x80000000402001E3, _ILLEGAL, source=f"{_SDM}: bits 29:13 of a 1 GiB leaf are reserved"),
    Example(_4, "pgd", 0x00000000BFE560E7, _ILLEGAL, source=f"{_SDM}: bit 7 of a PML4 entry is reserved"),
)

_SIZES = ((0x200000, 7), (0x40000000, 4095))
FIGURES = (
    ModeFigures(_4, 0xFFFF888000000000, 0xFFFFEA0000000000, _SIZES, _LAYOUT),
    ModeFigures("5-level", 0xFF11000000000000, 0xFFD4000000000000, _SIZES, _LAYOUT),
)
