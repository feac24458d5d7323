# SPDX-License-Identifier: GPL-2.0-only
"""Layout of struct page in a core's kernel: that of its release, corrected by VMCOREINFO."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import CoreFileError
from hvolab.release import StructPageLayout
from hvolab.release.struct_page import FolioField
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo

#: Fields of the layout, the members of struct page whose offsets they are, and their bytes.
_OFFSETS = (
    ("flags", "page.flags", WORD_BYTES),
    ("lru_next", "page.lru", WORD_BYTES),
    ("compound_head", "page.compound_head", WORD_BYTES),
    ("compound_head", "page.compound_info", WORD_BYTES),
    ("mapping", "page.mapping", WORD_BYTES),
    ("private", "page.private", WORD_BYTES),
    ("page_type", "page._mapcount", WORD_BYTES // 2),
    ("refcount", "page._refcount", WORD_BYTES // 2),
)
_RULE = "SIZE(page) and OFFSET(page.*) of VMCOREINFO; include/linux/mm_types.h, v6.12"
#: Bytes of a struct zoneref, the most zones, and the largest NODES_SHIFT that kernels are configured with.
_ZONEREF, _MOST_ZONES, _MOST_NODE_BITS = 16, 8, 10


def layout_of(
    info: VmcoreInfo | None, base: StructPageLayout, page_size: int, *, where: str = "VMCOREINFO"
) -> StructPageLayout:
    """Return the layout that ``info`` describes, with the values of ``base`` for all else; ``page_size`` in bytes.

    Raises CoreFileError for a size that HVO does not support, and for a member that does not fit the struct.
    """
    if info is None:
        return base
    size = base.size if (named := info.size("page")) is None else named
    if size.bit_count() != 1 or not base.size <= size <= page_size // 2:
        raise CoreFileError(
            f"a struct page of {size} bytes does not suit HVO",
            where=where,
            rule=f"{_RULE}; HVO needs a power of two, of at least {base.size} bytes",
            hint="HVO is off on such a kernel; if this kernel does have HVO, dump the memory again",
        )
    lru = info.offset("page.lru") or base.lru_next
    fields: dict[str, Any] = {"size": size, "lru_prev": lru + WORD_BYTES}
    for name, member, width in _OFFSETS:
        offset = info.offset(member)
        if offset is None:
            continue
        if offset % width or offset + width > size:
            what = f"{member} at byte {offset} does not fit a struct page of {size} bytes"
            raise CoreFileError(what, where=where, rule=_RULE, hint="dump the memory again: this note is damaged")
        fields[name] = offset
    fields["masks_compound"] = base.masks_compound and info.offset("page.compound_head") is None
    order = info.offset("page.compound_order")  # up to v6.5, when it was a byte of its own
    if order is not None and 0 <= order < size:
        fields["folio_order"] = FolioField(1, order, 1)
    mask = info.number("PG_head_mask")
    if mask is not None and mask > 0 and mask.bit_count() == 1:
        fields["pg_head"] = mask.bit_length() - 1
    return replace(base, **fields | _hugetlb_mark(info, size) | _zones_and_nodes(info))


def _hugetlb_mark(info: VmcoreInfo, size: int) -> dict[str, Any]:
    """Return the mark of a hugetlb folio: the destructor of a compound page, or the page type; nothing without either.

    Between them it was a flag of the second struct page.
    Kernel: HUGETLB_PAGE_DTOR in include/linux/mm.h, v6.1; PG_hugetlb and PGTY_hugetlb in include/linux/page-flags.h,
    v6.6 and v6.12.
    """
    offset, destructor = info.offset("page.compound_dtor"), info.number("HUGETLB_PAGE_DTOR")
    if offset is not None and destructor is not None and 0 <= offset < size:
        return {"hugetlb_mark": FolioField(1, offset, 1), "hugetlb_set": destructor & 0xFF}
    offset, page_type = info.offset("page._mapcount"), info.number("PAGE_HUGETLB_MAPCOUNT_VALUE")
    flag, flags = info.number("PG_hugetlb"), info.offset("page.flags") or 0
    if page_type is None and flag is not None and 0 <= flag < 8 * WORD_BYTES:
        order = FolioField(1, flags, bits=8, member="_flags_1")
        return {"hugetlb_mark": FolioField(1, flags, bits=1, low=flag), "hugetlb_set": 1, "folio_order": order}
    if page_type is None:
        return {}
    place = {} if offset is None else {"hugetlb_mark": FolioField(0, offset, 4)}
    return {"hugetlb_set": page_type & 0xFFFFFFFF, **place}


def has_nodes(info: VmcoreInfo | None) -> bool:
    """Return whether VMCOREINFO shows where the node is in flags."""
    return info is not None and bool(_zones_and_nodes(info))


def _zones_and_nodes(info: VmcoreInfo) -> dict[str, int]:
    """Return shift and width of node and zone in flags, which are topmost; nothing where VMCOREINFO leaves them open.

    The array of zones and the lists of all zones of all nodes are what precedes nr_zones in a node. There are two lists
    where the kernel has NUMA nodes, else one.
    Kernel: struct pglist_data and struct zonelist in include/linux/mmzone.h, v6.12.
    """
    zone, before = info.size("zone"), info.offset("pglist_data.nr_zones")
    if not zone or not before:
        return {}
    fits = {
        (zones, node_bits)
        for zones in range(1, _MOST_ZONES + 1)
        for node_bits in range(_MOST_NODE_BITS + 1)
        if before == zones * zone + (2 if node_bits else 1) * _ZONEREF * ((zones << node_bits) + 1)
    }
    if len(fits) != 1:
        return {}
    ((zones, node_bits),) = fits
    zone_bits, node_shift = (zones - 1).bit_length(), 8 * WORD_BYTES - node_bits
    zone_shift = node_shift - zone_bits
    return {"node_bits": node_bits, "node_shift": node_shift, "zone_bits": zone_bits, "zone_shift": zone_shift}
