# SPDX-License-Identifier: GPL-2.0-only
"""Names of a kernel's page flags and page types: of those that VMCOREINFO or the modeled release has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab_vmcore.core.snapshot import CoreSnapshot

#: Flags whose bit numbers are in VMCOREINFO. Kernel: crash_save_vmcoreinfo_init(), v6.1, v6.12, v7.2.
_NOTED: Final = ("PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked", "PG_slab", "PG_hwpoison")
#: Page types whose values are in VMCOREINFO, with their names here.
_TYPES: Final = {
    "buddy": "PAGE_BUDDY_MAPCOUNT_VALUE",
    "hugetlb": "PAGE_HUGETLB_MAPCOUNT_VALUE",
    "slab": "PAGE_SLAB_MAPCOUNT_VALUE",
    "offline": "PAGE_OFFLINE_MAPCOUNT_VALUE",
    "unaccepted": "PAGE_UNACCEPTED_MAPCOUNT_VALUE",
}
#: Bits below a page type that may count, where the type is the highest byte.
_COUNTED: Final = 24


@dataclass(frozen=True)
class PageType:
    """Page type: the value of ``page_type`` that VMCOREINFO has for it."""

    value: int

    @property
    def counted(self) -> int:
        """Number of lowest bits that do not belong to it: since v6.11 the type is the highest byte."""
        return 0 if self.value & (1 << _COUNTED) - 1 else _COUNTED

    def matches(self, value: int) -> bool:
        """Return whether a ``page_type`` has this type. Kernel: PageBuddy(), v6.1 and v6.12."""
        return value >> self.counted == self.value >> self.counted


def known_flags(snapshot: CoreSnapshot) -> dict[str, int]:
    """Return the bit numbers of page flags by name.

    Those that VMCOREINFO does not have are the release's, and left out where VMCOREINFO contradicts the release.
    """
    info, layout, own = snapshot.core.vmcoreinfo, snapshot.struct_pages.layout, snapshot.target.struct_page
    found = {} if info is None else {name: bit for name in _NOTED if (bit := info.number(name)) is not None}
    poison = found.get("PG_hwpoison", own.pg_hwpoison)
    found["PG_head"] = layout.pg_head
    if (layout.pg_head, poison) == (own.pg_head, own.pg_hwpoison):
        found = {
            "PG_referenced": own.pg_referenced,
            "PG_owner_priv_1": own.pg_owner_priv_1,
            "PG_reserved": own.pg_reserved,
            "PG_hwpoison": own.pg_hwpoison,
            **found,
        }
    return dict(sorted(found.items(), key=lambda one: one[1]))


def page_types(snapshot: CoreSnapshot) -> dict[str, PageType]:
    """Return the page types of which VMCOREINFO has the value."""
    info = snapshot.core.vmcoreinfo
    values = {} if info is None else {name: info.number(key) for name, key in _TYPES.items()}
    return {name: PageType(value & 0xFFFFFFFF) for name, value in values.items() if value is not None}
