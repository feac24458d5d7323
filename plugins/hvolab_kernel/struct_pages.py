"""The layout of a kernel's struct pages, as far as HVO and its callers look at them, from its type information."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hvolab.machine import V6_12, StructPageLayout

from .kernel import Kernel

#: Bit of the layout, by the enumerator that a kernel has for it.
_BITS: Final = {
    "pg_head": "PG_head",
    "pg_owner_priv_1": "PG_owner_priv_1",
    "pg_reserved": "PG_reserved",
    "hpg_migratable": "HPG_migratable",
    "hpg_freed": "HPG_freed",
    "hpg_vmemmap_optimized": "HPG_vmemmap_optimized",
}
_BOOTMEM: Final = ("SECTION_INFO", "MIX_SECTION_INFO")


def struct_page_layout(kernel: Kernel) -> StructPageLayout:
    """The layout of v6.12 with the bits and the marks of boot memory that this kernel has instead.

    Raises KernelImageError for a kernel without type information.
    Kernel: enum pageflags, enum hugetlb_page_flags; get_page_bootmem() in mm/bootmem_info.c, which marks boot memory in
    ``index`` up to v6.12 and in ``private`` in v7.2.
    """
    types = kernel.types
    bits: dict[str, Any] = {name: types.enumerator(one) for name, one in _BITS.items() if types.has_enumerator(one)}
    layout = replace(V6_12, **bits)
    if types.has_enumerator(_BOOTMEM[0]):
        marked = "index" if types.has_member("page", "index") else "private"
        kinds = tuple(types.enumerator(one) for one in _BOOTMEM)
        layout = replace(layout, index=types.offset("page", marked), bootmem_types=kinds)
    return layout
