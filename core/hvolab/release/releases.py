# SPDX-License-Identifier: GPL-2.0-only
"""Table of the kernel releases that hvolab models; all differences between them are derived from it.

A release is declared by its changes against the release before it. A change has one sentence, the commit that made it,
and the facts that it sets. The release of a kernel image is found by the features of the changes, never by its number.
"""

from __future__ import annotations

from typing import Any

from hvolab.overrides import named
from hvolab.release.features import KernelFeature
from hvolab.release.gfp import (
    GFP_KERNEL,
    GFP_PGTABLE_KERNEL,
    GFP_PGTABLE_KERNEL_6_1,
    GFP_VMEMMAP_HEAD,
    GFP_VMEMMAP_RESTORE,
    GFP_VMEMMAP_RESTORE_6_1,
)
from hvolab.release.kernel_release import KernelChange, KernelRelease
from hvolab.release.struct_page import StructPageLayout
from hvolab.release.variant import HvoVariant


def _values(**values: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(values.items())


#: Kernel: mm/hugetlb_vmemmap.c, v6.1.
V6_1 = KernelRelease(
    "6.1",
    "one head page at a time; the head keeps its frame",
    before=None,
    changes=(),
    variant=HvoVariant(
        head_gfp=None,
        head_required=False,
        copies_mapped=False,
        walks_head=True,
        flushes_head=False,
        shares_tail_page=False,
        counts_folios=True,
        counts_memmap=False,
        waits_for_rcu=False,
        refuses_optimized=False,
        looks_first=True,
        first_in_first_out=True,
        marks_tables=False,
        flushes_for_none=True,
        table_gfp=GFP_PGTABLE_KERNEL_6_1,
        restore_gfp=GFP_VMEMMAP_RESTORE_6_1,
    ),
    struct_page=StructPageLayout(),
    features=frozenset({KernelFeature.HEADS, KernelFeature.STATIC_KEY}),
)
#: Kernel: mm/hugetlb_vmemmap.c, v6.12.
V6_12 = V6_1.after(
    "6.12",
    "batches, a new head page, grace periods, counters",
    KernelChange(
        "The head's struct pages move to a newly allocated page, which is in the range that is flushed.",
        '11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page to newly allocated page", v6.2)',
        gains=frozenset({KernelFeature.MOVES_HEAD}),
        variant=_values(head_gfp=GFP_VMEMMAP_HEAD, flushes_head=True),
    ),
    KernelChange(
        "Pages are freed and mapped in the reverse of the order in which they were found.",
        variant=_values(first_in_first_out=False),
    ),
    KernelChange(
        "The pages of a restored folio are retried harder, and may come from any node.",
        variant=_values(restore_gfp=GFP_VMEMMAP_RESTORE),
    ),
    KernelChange(
        "Folios are optimized and restored in batches, with one flush for all; HVO takes folios, not head pages.",
        gains=frozenset({KernelFeature.FOLIOS, KernelFeature.BATCHES}),
        loses=frozenset({KernelFeature.HEADS}),
    ),
    KernelChange(
        "An optimized folio is not optimized again.",
        variant=_values(refuses_optimized=True),
    ),
    KernelChange(
        "Self-hosted vmemmap is found by the walk, after the folio was counted.",
        variant=_values(looks_first=False),
    ),
    KernelChange(
        "Page tables are allocated with __GFP_COMP.",
        variant=_values(table_gfp=GFP_PGTABLE_KERNEL),
    ),
    KernelChange(
        "The pages of the vmemmap are counted in nr_memmap_pages and nr_memmap_boot_pages.",
        '15995a352474 ("mm: report per-page metadata information", v6.11)',
        gains=frozenset({KernelFeature.COUNTERS}),
        variant=_values(counts_memmap=True),
    ),
    KernelChange(
        "The entries of a folio change after an RCU grace period.",
        'bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers", v6.11)',
        gains=frozenset({KernelFeature.WAITS_FOR_RCU}),
        variant=_values(waits_for_rcu=True),
    ),
)
#: Kernel: mm/hugetlb_vmemmap.c with vmemmap_head and vmemmap_tail in struct vmemmap_remap_walk, in Debian's 6.12.117
#: and not in 6.12.107: read from its machine code, and compared with its execution.
V6_12_117 = V6_12.after(
    "6.12.117",
    "restored tails are copies of the page that they share",
    KernelChange(
        "Without a new head page a folio is not optimized, and the allocation may reclaim and warn.",
        variant=_values(head_gfp=GFP_KERNEL, head_required=True),
    ),
    KernelChange(
        "Restored tail pages are copies of what their entries map, and none of it is reset; the head is not walked.",
        gains=frozenset({KernelFeature.NAMES_HEAD_AND_TAIL}),
        variant=_values(copies_mapped=True, walks_head=False),
    ),
)
#: Kernel: mm/hugetlb_vmemmap.c, v7.2.
V7_2 = V6_12_117.after(
    "7.2",
    "tails share one page per zone and order; no static key, no grace period",
    KernelChange(
        "The tails of all folios of an order in a zone share one page, which is never freed.",
        gains=frozenset({KernelFeature.SHARES_TAIL_PAGE}),
        variant=_values(shares_tail_page=True),
    ),
    KernelChange(
        "A tail holds the mask that its own VA needs to become the head's.",
        struct_page=_values(masks_compound=True),
    ),
    KernelChange(
        "No static key counts optimized folios.",
        loses=frozenset({KernelFeature.STATIC_KEY}),
        variant=_values(counts_folios=False),
    ),
    KernelChange(
        "No grace period precedes the change of a folio's entries.",
        loses=frozenset({KernelFeature.WAITS_FOR_RCU}),
        variant=_values(waits_for_rcu=False),
    ),
    KernelChange(
        "Struct pages of page tables are marked as such, and as the kernel's own.",
        variant=_values(marks_tables=True),
    ),
    KernelChange(
        "A batch of no folios flushes once.",
        variant=_values(flushes_for_none=False),
    ),
)
#: Kernel: a series of 2026 that is not in a release, for architectures that need break-before-make.
MM_2026 = V6_12.after(
    "mm-2026",
    "entries are replaced by clearing the accessed flag and a compare-and-swap, which can fail",
    anywhere=False,
)
#: The release that is modeled where none is named.
DEFAULT = V6_12
#: Every release, the oldest first.
RELEASES = (V6_1, V6_12, V6_12_117, V7_2, MM_2026)


def release_named(name: str | None) -> KernelRelease:
    """Return the release of that name, ``None``: the default; raises UsageError with the names that exist."""
    return DEFAULT if name is None else named(RELEASES, name, f"hvolab does not know the kernel release {name!r}")


def departures_of(release: KernelRelease) -> tuple[str, ...]:
    """Return the differences of a release from the default one, a sentence and a commit each."""
    more, fewer = release.differences(DEFAULT)
    return (*map(str, more), *(f"not yet: {change}" for change in fewer))
