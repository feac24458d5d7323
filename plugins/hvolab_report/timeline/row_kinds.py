# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of rows: the columns of each, and the kernel function that an event stands for."""

from __future__ import annotations

from typing import Final

from hvolab_report.timeline.data import RowKind

#: A run of entries: index of the pattern, first PFN, difference from PFN to PFN, number of entries.
_ENTRIES: Final = "{pattern, pfn, step, count}*"
#: A run of frames.
_PFNS: Final = "{pfn, step, count}*"

#: The kinds, in the order of their numbers: the first integer of a row is the index in this list.
ROW_KINDS: Final = (
    RowKind("loop", ("count", "length"), "", "A loop: see hvolab_report.timeline.fold", is_step=False),
    RowKind("calls", ("kept", "function*"), "", "Calls that end and begin before the next step", is_step=False),
    RowKind("tlb", ("cpu", "base", "va", "pages", "pfn", "held", "stale"), "", "Change of a TLB", is_step=False),
    RowKind("finding", ("finding",), "", "Finding that the step completes", is_step=False),
    RowKind(
        "mark",
        ("cpu", "text", "note"),
        "",
        "A stage: an operation or an actor's step that begins, a result, or the machine at rest. A note marks it.",
        is_step=True,
    ),
    RowKind(
        "entry.store",
        ("cpu", "level", "live", "slot", "base", "va", "runs", _ENTRIES, _ENTRIES),
        "set_pte_at",
        "Stores page-table entries, of a table that walks reach or of one that is still being filled.",
        is_step=True,
    ),
    RowKind(
        "flush.range",
        ("cpu", "base", "va", "size"),
        "flush_tlb_kernel_range",
        "Removes the translations of a range from the TLB of every CPU.",
        is_step=True,
    ),
    RowKind(
        "flush.all", ("cpu",), "flush_tlb_all", "Removes all translations from the TLB of every CPU.", is_step=True
    ),
    RowKind(
        "page.allocate",
        ("cpu", "gfp", "order", "node", "failed", _PFNS),
        "alloc_pages",
        "Allocates blocks of frames from the page allocator.",
        is_step=True,
    ),
    RowKind("page.free", ("cpu", "order", "how", _PFNS), "{how}", "Frees frames, in this order.", is_step=True),
    RowKind(
        "page.split",
        ("cpu", "pfn", "order"),
        "split_page",
        "Splits an allocated block, so that its frames can be freed one by one.",
        is_step=True,
    ),
    RowKind(
        "rcu.synchronize",
        ("cpu",),
        "synchronize_rcu",
        "Waits until every reader that could have seen the state before has ended.",
        is_step=True,
    ),
    RowKind(
        "key",
        ("cpu", "delta"),
        "static_branch_inc, static_branch_dec",
        "Counts optimized folios in hugetlb_optimize_vmemmap_key.",
        is_step=True,
    ),
    RowKind(
        "counter",
        ("cpu", "counter", "delta"),
        "memmap_pages_add, memmap_boot_pages_add",
        "Counts pages of vmemmap for /proc/vmstat.",
        is_step=True,
    ),
    RowKind(
        "barrier",
        ("cpu", "barrier"),
        "{barrier}",
        "Orders the stores before it before the stores after it, as other CPUs see them.",
        is_step=True,
    ),
    RowKind("store", ("cpu", "base", "va", "pa", "size"), "store", "Stores bytes through the TLB.", is_step=True),
    RowKind(
        "page.copy",
        ("cpu", "to_base", "to", "from_base", "from"),
        "copy_page",
        "Copies one page.",
        is_step=True,
    ),
    RowKind(
        "folio",
        ("cpu", "folio_step", "base", "va", "result"),
        "{folio_step}",
        "Begin or end of HVO's work on a folio.",
        is_step=True,
    ),
    RowKind(
        "folio.prepare", ("cpu", "base", "va", "order"), "prepared", "A new folio is ready for its pool.", is_step=True
    ),
    RowKind("batch", ("cpu", "batch", "result"), "{batch}", "Begin or end of a batch of folios.", is_step=True),
    RowKind("other", ("cpu", "name", "text"), "{name}", "Another event, in words.", is_step=True),
)
#: Number of each kind, by its name.
NUMBER: Final = {kind.name: number for number, kind in enumerate(ROW_KINDS)}
