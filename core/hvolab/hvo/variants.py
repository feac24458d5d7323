# SPDX-License-Identifier: GPL-2.0-only
"""Variants of HVO's code in kernels of several releases, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from hvolab.machine.frames.gfp import (
    GFP_KERNEL,
    GFP_PGTABLE_KERNEL,
    GFP_PGTABLE_KERNEL_6_1,
    GFP_VMEMMAP_HEAD,
    GFP_VMEMMAP_RESTORE,
    GFP_VMEMMAP_RESTORE_6_1,
    describe,
)

_HEAD_MOVES: Final = '11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page to newly allocated page", v6.2)'
_COUNTERS: Final = '15995a352474 ("mm: report per-page metadata information", v6.11)'
_GRACE_PERIOD: Final = 'bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers", v6.11)'


def _fact(v6_12: Any, meaning: str, commit: str = "", show: Callable[[Any], str] = str) -> Any:
    """Return a field with its value in v6.12; metadata: meaning, commit of that value, text of a value."""
    return field(default=v6_12, metadata={"meaning": meaning, "commit": commit, "show": show})


def _gfp(v6_12: int, meaning: str, commit: str = "") -> Any:
    """Return a fact that is a GFP mask, or None."""
    return _fact(v6_12, meaning, commit, lambda mask: str(mask and describe(mask)))


@dataclass(frozen=True)
class HvoVariant:
    """One variant, by facts whose defaults are those of v6.12; the metadata of a fact has its meaning.

    name  the release that it was first seen in, or that documents it
    """

    name: str
    head_gfp: int | None = _gfp(
        GFP_VMEMMAP_HEAD, "flags of the new head page; None: the head keeps its page", _HEAD_MOVES
    )
    head_required: bool = _fact(False, "without a new head page a folio is not optimized (-ENOMEM)")
    copies_mapped: bool = _fact(False, "restored pages are copies of what their entries map, and none of it is reset")
    walks_head: bool = _fact(
        True,
        "restoring begins with the head's entry, whose page all tails must map; a rollback keeps it",
    )
    flushes_head: bool = _fact(True, "the head page is in the range that is flushed", _HEAD_MOVES)
    shares_tail_page: bool = _fact(False, "the tails of all folios of an order in a zone share one page")
    counts_folios: bool = _fact(True, "the static key counts optimized folios")
    counts_memmap: bool = _fact(
        True, "pages of vmemmap are counted in nr_memmap_pages and nr_memmap_boot_pages", _COUNTERS
    )
    waits_for_rcu: bool = _fact(True, "the entries of a folio change after a grace period", _GRACE_PERIOD)
    refuses_optimized: bool = _fact(True, "an optimized folio is not optimized again")
    looks_first: bool = _fact(False, "self-hosted vmemmap is found before the folio is counted, not in the walk")
    first_in_first_out: bool = _fact(False, "pages are freed and mapped in the order in which they were found")
    marks_tables: bool = _fact(False, "struct pages of page tables are marked as such, and as the kernel's own")
    flushes_for_none: bool = _fact(True, "a batch of none flushes twice, else once")
    table_gfp: int = _gfp(GFP_PGTABLE_KERNEL, "flags of page tables")
    restore_gfp: int = _gfp(GFP_VMEMMAP_RESTORE, "flags of the pages of a restored folio")

    @property
    def departures(self) -> tuple[str, ...]:
        """Differences from v6.12, one sentence each, with the commit of v6.12's value where it is known."""
        facts = ((each.name, each.metadata, getattr(self, each.name), each.default) for each in fields(self))
        return tuple(
            f"{name} is {fact['show'](value)}: {fact['meaning']}"
            + (f"; {fact['show'](default)} since {fact['commit']}" if fact["commit"] else "")
            for name, fact, value, default in facts
            if fact and value != default
        )


#: Kernel: mm/hugetlb_vmemmap.c, v6.12.
V6_12: Final = HvoVariant("6.12")
#: Kernel: mm/hugetlb_vmemmap.c with vmemmap_head and vmemmap_tail in struct vmemmap_remap_walk, in Debian's 6.12.117
#: and not in 6.12.107: read from its machine code, and compared with its execution.
V6_12_117: Final = HvoVariant("6.12.117", GFP_KERNEL, head_required=True, copies_mapped=True, walks_head=False)
#: Kernel: mm/hugetlb_vmemmap.c, v7.2.
V7_2: Final = replace(
    V6_12_117,
    name="7.2",
    shares_tail_page=True,
    counts_folios=False,
    waits_for_rcu=False,
    marks_tables=True,
    flushes_for_none=False,
)
#: Kernel: mm/hugetlb_vmemmap.c, v6.1.
V6_1: Final = HvoVariant(
    "6.1",
    None,
    flushes_head=False,
    counts_memmap=False,
    waits_for_rcu=False,
    refuses_optimized=False,
    looks_first=True,
    first_in_first_out=True,
    table_gfp=GFP_PGTABLE_KERNEL_6_1,
    restore_gfp=GFP_VMEMMAP_RESTORE_6_1,
)
#: Every variant, by release.
VARIANTS: Final = (V6_1, V6_12, V6_12_117, V7_2)
