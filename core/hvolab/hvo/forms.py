"""The forms that HVO's code has in kernels whose callers and page tables are those of v6.12: what differs, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab.machine.gfp import GFP_KERNEL, GFP_VMEMMAP_HEAD


@dataclass(frozen=True)
class HvoForm:
    """One form.

    name           the release that it was first seen in, or is documented by
    head_gfp       what the new head page is asked for with
    head_required  without a new head page a folio is not optimised (-ENOMEM); else its old one stays the head
    copies_mapped  a restored page is a copy of the page that its entry maps, through the direct map, and stays one;
                   else of the head page, through the vmemmap, and its first struct pages are reset
    walks_head     restoring walks the head page's entry too, which tells the page that all tails must be mapped to;
                   else it begins with the first tail, and flushes no more; a rollback gives the head another page
    """

    name: str
    head_gfp: int
    head_required: bool
    copies_mapped: bool
    walks_head: bool

    @property
    def departures(self) -> tuple[str, ...]:
        """What is otherwise than in v6.12, in a sentence each."""
        return tuple(
            f"{name}: {sentence}"
            for name, sentence in _DEPARTURES.items()
            if getattr(self, name) != getattr(V6_12, name)
        )


#: What each difference to v6.12 is, as a reader is told it.
_DEPARTURES: Final = {
    "head_gfp": "the new head page is asked for with other flags",
    "head_required": "without a new head page a folio is not optimised",
    "copies_mapped": "restored pages are copies of what their entries map, and their first struct pages are not reset",
    "walks_head": "restoring begins with the first tail, and a rollback gives the head another page",
}

#: Kernel: mm/hugetlb_vmemmap.c, v6.12.
V6_12: Final = HvoForm("6.12", GFP_VMEMMAP_HEAD, head_required=False, copies_mapped=False, walks_head=True)
#: Kernel: mm/hugetlb_vmemmap.c with vmemmap_head and vmemmap_tail in struct vmemmap_remap_walk, as Debian's 6.12.117
#: has it and 6.12.107 does not: read from its machine code, and compared with what that does.
V6_12_117: Final = HvoForm("6.12.117", GFP_KERNEL, head_required=True, copies_mapped=True, walks_head=False)
