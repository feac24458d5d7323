# SPDX-License-Identifier: GPL-2.0-only
"""Layout of struct page in a core's kernel: v6.12's, corrected by VMCOREINFO."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import CoreFileError
from hvolab.release import DEFAULT, StructPageLayout
from hvolab.release.struct_page import FolioField
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo

#: Fields of the layout, the members of struct page whose offsets they are, and their bytes.
_OFFSETS = (
    ("flags", "page.flags", WORD_BYTES),
    ("lru_next", "page.lru", WORD_BYTES),
    ("compound_head", "page.compound_head", WORD_BYTES),
    ("mapping", "page.mapping", WORD_BYTES),
    ("private", "page.private", WORD_BYTES),
    ("page_type", "page._mapcount", WORD_BYTES // 2),
    ("refcount", "page._refcount", WORD_BYTES // 2),
)
_RULE = "SIZE(page) and OFFSET(page.*) of VMCOREINFO; include/linux/mm_types.h, v6.12"


def layout_of(info: VmcoreInfo | None, page_size: int, *, where: str = "VMCOREINFO") -> StructPageLayout:
    """Return the layout that ``info`` describes, with v6.12's values for all else; ``page_size`` in bytes.

    Raises CoreFileError for a size that HVO does not support, and for a member that does not fit the struct.
    """
    if info is None:
        return DEFAULT.struct_page
    size = DEFAULT.struct_page.size if (named := info.size("page")) is None else named
    if size.bit_count() != 1 or not DEFAULT.struct_page.size <= size <= page_size // 2:
        raise CoreFileError(
            f"a struct page of {size} bytes does not suit HVO",
            where=where,
            rule=f"{_RULE}; HVO needs a power of two, of at least {DEFAULT.struct_page.size} bytes",
            hint="HVO is off on such a kernel; if this kernel does have HVO, dump the memory again",
        )
    lru = info.offset("page.lru") or DEFAULT.struct_page.lru_next
    fields: dict[str, Any] = {"size": size, "lru_prev": lru + WORD_BYTES}
    for name, member, width in _OFFSETS:
        offset = info.offset(member)
        if offset is None:
            continue
        if offset % width or offset + width > size:
            what = f"{member} at byte {offset} does not fit a struct page of {size} bytes"
            raise CoreFileError(what, where=where, rule=_RULE, hint="dump the memory again: this note is damaged")
        fields[name] = offset
    order = info.offset("page.compound_order")  # up to v6.5, when it was a byte of its own
    if order is not None and 0 <= order < size:
        fields["folio_order"] = FolioField(1, order, 1)
    mask, hugetlb = info.number("PG_head_mask"), info.number("PAGE_HUGETLB_MAPCOUNT_VALUE")
    if mask is not None and mask > 0 and mask.bit_count() == 1:
        fields["pg_head"] = mask.bit_length() - 1
    if hugetlb is not None:
        fields["hugetlb_set"] = hugetlb & 0xFFFFFFFF
    return replace(DEFAULT.struct_page, **fields)
