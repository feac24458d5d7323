"""The layout of a kernel's struct pages, as far as HVO and its callers look at them, from its type information."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hvolab.machine import STRUCT_PAGE_V6_12, StructPageLayout
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel
from hvolab_vmlinux.types.btf import Types

#: Bit of the layout, by the enumerator that a kernel has for it.
_BITS: Final = {
    "pg_head": "PG_head",
    "pg_referenced": "PG_referenced",
    "pg_owner_priv_1": "PG_owner_priv_1",
    "pg_reserved": "PG_reserved",
    "hpg_migratable": "HPG_migratable",
    "hpg_freed": "HPG_freed",
    "hpg_vmemmap_optimized": "HPG_vmemmap_optimized",
}
_WORD_BITS: Final = 64
#: Kernel: LAST__PID_SHIFT in include/linux/page-flags-layout.h, v6.12.
_PID_BITS: Final = 8
_BOOTMEM: Final = ("SECTION_INFO", "MIX_SECTION_INFO")


@cached_per_kernel  # every bed asks for it
def struct_page_layout(kernel: Kernel) -> StructPageLayout:
    """The layout of v6.12 with the bits, tail links and marks of boot memory that this kernel has instead.

    Raises KernelImageError for a kernel without type information.
    Kernel: enum pageflags, enum hugetlb_page_flags; get_page_bootmem() in mm/bootmem_info.c, which marks boot memory in
    ``index`` up to v6.12 and in ``private`` in v7.2.
    """
    types = kernel.types
    bits: dict[str, Any] = {name: types.enumerator(one) for name, one in _BITS.items() if types.has_enumerator(one)}
    layout = replace(STRUCT_PAGE_V6_12, **bits, masks_compound=types.has_member("page", "compound_info"))
    if types.has_enumerator(_BOOTMEM[0]):
        marked = "index" if types.has_member("page", "index") else "private"
        kinds = tuple(types.enumerator(one) for one in _BOOTMEM)
        layout = replace(layout, index=types.offset("page", marked), bootmem_types=kinds)
    return replace(layout, **_links(types))


def _links(types: Types) -> dict[str, Any]:
    """The zones, and where zone, node and last CPU stand in ``flags``: at its top, as wide as what they have to count.

    The list of all zones of all nodes tells how many nodes there can be.
    Kernel: include/linux/page-flags-layout.h, MAX_ZONES_PER_ZONELIST in include/linux/mmzone.h, v6.12.
    """
    zones = types.enumerator("__MAX_NR_ZONES")
    numbers = {
        name: types.enumerator(f"ZONE_{name}")
        for name in STRUCT_PAGE_V6_12.zones
        if types.has_enumerator(f"ZONE_{name}")
    }
    nodes = (types.size("zonelist") // types.size("zoneref") - 1) // zones
    zone_bits, node_bits = (zones - 1).bit_length(), (nodes - 1).bit_length()
    node_shift = _WORD_BITS - node_bits
    balanced = types.has_member("task_struct", "numa_preferred_nid")
    cpupid_bits = _PID_BITS + (8 * types.size("cpumask") - 1).bit_length() if balanced else 0
    return {
        "zones": tuple(sorted(numbers, key=numbers.__getitem__)),
        "node_bits": node_bits,
        "node_shift": node_shift,
        "zone_bits": zone_bits,
        "zone_shift": node_shift - zone_bits,
        "last_cpupid_bits": cpupid_bits,
        "last_cpupid_shift": node_shift - zone_bits - cpupid_bits,
    }
