# SPDX-License-Identifier: GPL-2.0-only
"""Top of the flags of a struct page, as one architecture's kernels are configured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hvolab.errors import DescriptionError
from hvolab.overrides import check_name, check_types
from hvolab.release import RELEASES, KernelRelease, StructPageLayout

_WORD_BITS = 64
#: Bits below: more than the number of any flag that HVO or hugetlb uses.
_LOW_FLAGS = 20


@dataclass(frozen=True)
class PageFlags:
    """Widths of node, zone and last CPU at the top of ``flags``, and the zones.

    zones          names of the zones, by number. Kernel: enum zone_type
    node_bits      bits of the node, the topmost; 0: none
    zone_bits      bits of the zone, below
    cpupid_bits    bits of the last CPU and PID, below; 0: none
    releases       kernel releases that have them; empty: all
    source         kernel image whose configuration it is

    Kernel: include/linux/page-flags-layout.h.
    """

    zones: tuple[str, ...]
    node_bits: int
    zone_bits: int
    cpupid_bits: int
    releases: tuple[str, ...] = ()
    source: str = ""

    def belongs_to(self, release: KernelRelease) -> bool:
        """Return whether that release has them."""
        return not self.releases or release.name in self.releases

    def applied(self, layout: StructPageLayout) -> StructPageLayout:
        """Return the layout of struct page with these."""
        node_shift = _WORD_BITS - self.node_bits
        zone_shift = node_shift - self.zone_bits
        return replace(
            layout,
            zones=self.zones,
            node_bits=self.node_bits,
            node_shift=node_shift,
            zone_bits=self.zone_bits,
            zone_shift=zone_shift,
            last_cpupid_bits=self.cpupid_bits,
            last_cpupid_shift=zone_shift - self.cpupid_bits,
        )

    def check(self, architecture: str) -> None:
        """Raise DescriptionError for wrong types, fields that do not fit, and releases that do not exist."""
        where = f"{architecture}, flags of struct page"
        check_types(self, where)
        for name in self.releases:
            check_name("release", name, map(str, RELEASES), where)
        if "NORMAL" not in self.zones or len(set(self.zones)) < len(self.zones):
            raise DescriptionError(
                f"the zones are {', '.join(self.zones) or 'none'}",
                where=where,
                rule="every kernel has ZONE_NORMAL, and each zone once: enum zone_type",
                hint="list the zones that the kernel has, by number",
            )
        if len(self.zones) > 1 << self.zone_bits:
            raise DescriptionError(f"{len(self.zones)} zones do not fit into {self.zone_bits} bits", where=where)
        widths = self.node_bits, self.zone_bits, self.cpupid_bits
        if min(widths) < 0 or sum(widths) > _WORD_BITS - _LOW_FLAGS:
            raise DescriptionError(
                f"node, zone and last CPU have {' + '.join(map(str, widths))} bits",
                where=where,
                rule=f"they are above the flags of a page, of which there are at least {_LOW_FLAGS}: enum pageflags",
            )
