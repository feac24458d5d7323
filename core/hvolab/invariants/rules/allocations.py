# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of the allocation calls of HVO."""

from __future__ import annotations

import numpy as np

from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.release.gfp import GFP_VMEMMAP_TAIL, describe
from hvolab.trace import Batch, FolioStep, PagesAllocated


def _watch_masks(machine: Machine, report: Report) -> Handlers:
    """HVO allocates single pages with the GFP masks of its release, and pages of a folio's vmemmap on its node.

    Masks decide what an allocation may do: restoring must be able to wait and retry, a new head page must not go to
    another node, a page table is not charged to a process. Page tables may come from any node.
    """
    variant, pages = machine.target.release.variant, machine.struct_pages
    masks: dict[str, set[int | None]] = {
        "optimize": {variant.table_gfp, variant.head_gfp, GFP_VMEMMAP_TAIL if variant.shares_tail_page else None},
        "restore": {variant.table_gfp, variant.restore_gfp},
    }
    operation = ""  # that runs now
    node: int | None = None  # of its folio; None in a batch
    folio = 0

    def batch(event: Batch) -> None:
        nonlocal operation
        name, _, when = event.step.partition(".")
        operation = name if when == "begin" else ""

    def step(event: FolioStep) -> None:
        nonlocal operation, node, folio
        name, _, when = event.step.partition(".")
        operation, folio = name, event.folio
        flags = int(pages.words(np.array([pages.pfn(folio)], dtype=np.int64), pages.layout.flags)[0])
        node = pages.layout.node(flags) if when == "begin" else None

    def allocated(event: PagesAllocated) -> None:
        if not operation or event.order > 0:
            return
        where = f"folio PFN {pages.pfn(folio):#x}" if folio else ""
        if event.gfp not in masks[operation]:
            report(f"a page was allocated with {describe(event.gfp)} to {operation}", where)
        elif node is not None and event.gfp != variant.table_gfp and event.node != node:
            report(f"a page was allocated on node {event.node} to {operation} a folio of node {node}", where)

    return {Batch: batch, FolioStep: step, PagesAllocated: allocated}


ALLOCATIONS = Invariant(19, "allocations", history=_watch_masks)
