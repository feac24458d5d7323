# SPDX-License-Identifier: GPL-2.0-only
"""Layout of a kernel's struct pages, from its type information."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from hvolab.arithmetic import WORD_BYTES
from hvolab.release import DEFAULT, RELEASES, StructPageLayout
from hvolab.release.struct_page import FolioField
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
#: Members of struct page by fields of the layout; the kernel has one of several.
_MEMBERS: Final = {
    "flags": ("flags",),
    "lru_next": ("lru",),
    "compound_head": ("compound_head", "compound_info"),
    "mapping": ("mapping",),
    "private": ("private",),
    "page_type": ("_mapcount",),
    "refcount": ("_refcount",),
}
_BOOTMEM: Final = ("SECTION_INFO", "MIX_SECTION_INFO")


@cached_per_kernel  # every machine for this kernel needs it
def struct_page_layout(kernel: Kernel) -> StructPageLayout:
    """Return the layout of the release with this kernel's struct folio, with this kernel's bits, offsets and zones.

    Raises KernelImageError for a kernel without type information.
    Kernel: struct page and struct folio in include/linux/mm_types.h; enum pageflags, enum hugetlb_page_flags;
    get_page_bootmem() in mm/bootmem_info.c, which marks boot memory in ``index`` up to v6.12 and in ``private`` in
    v7.2; compound_info_has_mask() in include/linux/page-flags.h, v7.2, which depends on HVO.
    """
    types = kernel.types
    base = _of_release(types)
    changes: dict[str, Any] = {
        **_enumerators(types, _BITS),
        **_offsets(types),
        **_fields_of_flags(types),
        **_fields_of_folios(types, base),
        "masks_compound": types.has_member("zone", "vmemmap_tails"),
    }
    if types.find_enumerator(_BOOTMEM[0]) is not None:
        changes["bootmem_types"] = tuple(map(types.enumerator, _BOOTMEM))
    return replace(base, **changes)


def _of_release(types: Types) -> StructPageLayout:
    """Return the layout of the newest release whose fields of a folio the kernel has, or the default."""
    for release in reversed(RELEASES):
        stores = release.struct_page.compound_stores
        if all(types.has_member("folio", store.field.member) for store in stores):
            return release.struct_page
    return DEFAULT.struct_page


def _offsets(types: Types) -> dict[str, int]:
    """Return the size of struct page, and the offsets of its members."""
    marked = "index" if types.has_member("page", "index") else "private"
    found = {
        name: types.offset("page", member)
        for name, members in {**_MEMBERS, "index": (marked,)}.items()
        for member in members
        if types.has_member("page", member)
    }
    if "lru_next" in found:
        found["lru_prev"] = found["lru_next"] + WORD_BYTES
    return found | {"size": types.size("page")}


def _fields_of_folios(types: Types, layout: StructPageLayout) -> dict[str, Any]:
    """Return the fields of folios at their offsets in struct folio, as far as they have names there."""
    size = types.size("page")

    def placed(field: FolioField) -> FolioField:
        if not field.member or not types.has_member("folio", field.member):
            return field
        page, offset = divmod(types.offset("folio", field.member), size)
        return replace(field, page=page, offset=offset)

    return {
        "folio_order": placed(layout.folio_order),
        "hugetlb_mark": placed(layout.hugetlb_mark),
        "compound_stores": tuple(replace(store, field=placed(store.field)) for store in layout.compound_stores),
        "hugetlb_zeroed": tuple(map(placed, layout.hugetlb_zeroed)),
        "hugetlb_hwpoison": placed(layout.hugetlb_hwpoison),
    }


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
