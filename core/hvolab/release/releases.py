# SPDX-License-Identifier: GPL-2.0-only
"""Table of the kernel releases that hvolab models; all differences between them are derived from it.

A release is declared by its changes against the release before it. A change has one sentence, the commit that made it,
and the facts that it sets. The release of a kernel image is found by the features of the changes, never by its number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from hvolab.release.struct_page import StructPageLayout
from hvolab.release.variant import HvoVariant


@dataclass(frozen=True)
class KernelChange:
    """One difference of a release from the release before it.

    sentence     what it does, in one sentence
    commit       the commit that made it: short id, subject, release; empty where it is not known
    gains        features that an image has from then on
    loses        features that an image does not have any more
    variant      facts of HvoVariant that it sets
    struct_page  fields of StructPageLayout that it sets
    """

    sentence: str
    commit: str = ""
    gains: frozenset[KernelFeature] = frozenset()
    loses: frozenset[KernelFeature] = frozenset()
    variant: tuple[tuple[str, Any], ...] = ()
    struct_page: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.sentence} {self.commit}" if self.commit else self.sentence


@dataclass(frozen=True)
class KernelRelease:
    """One release: the facts of HVO's code, and the layout of struct page.

    name         on the command line
    summary      one line
    before       the release that it is declared against; None: the first
    changes      its differences from that release, the oldest first
    variant      facts of HVO's code
    struct_page  layout of struct page, where an architecture does not declare another
    features     features of its images
    anywhere     whether every architecture can select it; else those that declare a change for it
    """

    name: str
    summary: str
    before: KernelRelease | None
    changes: tuple[KernelChange, ...]
    variant: HvoVariant
    struct_page: StructPageLayout
    features: frozenset[KernelFeature]
    anywhere: bool = True

    def __str__(self) -> str:
        return self.name

    def after(self, name: str, summary: str, *changes: KernelChange, anywhere: bool = True) -> KernelRelease:
        """Return a release that differs from this one by ``changes``."""
        variant, struct_page, features = self.variant, self.struct_page, self.features
        for change in changes:
            variant = replace(variant, **dict(change.variant))
            struct_page = replace(struct_page, **dict(change.struct_page))
            features = (features | change.gains) - change.loses
        return KernelRelease(name, summary, self, changes, variant, struct_page, features, anywhere)

    @property
    def line(self) -> tuple[KernelRelease, ...]:
        """The release and those that it is built on, the first release first."""
        return (*(self.before.line if self.before is not None else ()), self)

    def differences(self, other: KernelRelease) -> tuple[tuple[KernelChange, ...], tuple[KernelChange, ...]]:
        """Return the changes that this release has and ``other`` has not, and those that only ``other`` has."""
        ours, theirs = self._line_changes(), other._line_changes()
        return tuple(one for one in ours if one not in theirs), tuple(one for one in theirs if one not in ours)

    @property
    def departures(self) -> tuple[str, ...]:
        """Return the differences from the default release, a sentence and a commit each."""
        more, fewer = self.differences(DEFAULT)
        return (*map(str, more), *(f"not yet: {change}" for change in fewer))

    def _line_changes(self) -> tuple[KernelChange, ...]:
        return tuple(change for release in self.line for change in release.changes)


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
