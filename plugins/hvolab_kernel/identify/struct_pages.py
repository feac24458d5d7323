# SPDX-License-Identifier: GPL-2.0-only
"""Layout of a kernel's struct pages, from its type information."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from hvolab.release import DEFAULT, StructPageLayout
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel
from hvolab_vmlinux.types.btf import Types

#: Fields of the layout that are bits, and the kernel's enumerators for them: pg_head and PG_head.
_BITS: Final = {
    field.name: f"{prefix.upper()}_{name}"
    for field in fields(StructPageLayout)
    for prefix, _, name in (field.name.partition("_"),)
    if prefix in {"pg", "hpg"}
}
_WORD_BITS: Final = 64
#: Kernel: LAST__PID_SHIFT in include/linux/page-flags-layout.h, v6.12.
_PID_BITS: Final = 8
_BOOTMEM: Final = ("SECTION_INFO", "MIX_SECTION_INFO")


@cached_per_kernel  # every machine for this kernel needs it
def struct_page_layout(kernel: Kernel) -> StructPageLayout:
    """Return the layout of v6.12 with this kernel's bits, zones, tail links and marks of boot memory.

    Raises KernelImageError for a kernel without type information.
    Kernel: enum pageflags, enum hugetlb_page_flags; get_page_bootmem() in mm/bootmem_info.c, which marks boot memory in
    ``index`` up to v6.12 and in ``private`` in v7.2.
    """
    types = kernel.types
    changes: dict[str, Any] = _enumerators(types, _BITS)
    if types.find_enumerator(_BOOTMEM[0]) is not None:
        marked = "index" if types.has_member("page", "index") else "private"
        changes |= {"index": types.offset("page", marked), "bootmem_types": tuple(map(types.enumerator, _BOOTMEM))}
    masks = types.has_member("page", "compound_info")
    return replace(DEFAULT.struct_page, **changes, **_fields_of_flags(types), masks_compound=masks)


def _enumerators(types: Types, names: Mapping[str, str]) -> dict[str, int]:
    """Return the values of those enumerators that the kernel has, by the keys of their names."""
    found = {key: types.find_enumerator(name) for key, name in names.items()}
    return {key: value for key, value in found.items() if value is not None}


def _fields_of_flags(types: Types) -> dict[str, Any]:
    """Return the zones, and shift and width of zone, node and last CPU, which are at the top of ``flags``.

    The number of nodes follows from the size of the list of all zones of all nodes.
    Kernel: include/linux/page-flags-layout.h, MAX_ZONES_PER_ZONELIST in include/linux/mmzone.h, v6.12.
    """
    zones = types.enumerator("__MAX_NR_ZONES")
    numbers = _enumerators(types, {name: f"ZONE_{name}" for name in DEFAULT.struct_page.zones})
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
