# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of frames with a memory error."""

from __future__ import annotations

import numpy as np

from hvolab.hugetlb.memory_failure import TAKEN_OFF
from hvolab.invariants.invariant import LISTED, Invariant, Report
from hvolab.invariants.survey import Pfns, Survey
from hvolab.machine import FrameAllocator, Machine
from hvolab.machine.frames.source import Owner
from hvolab.release.faults import FORGOTTEN, FREED_AS_BLOCK


def _check_poison(survey: Survey, report: Report) -> None:
    """No frame with a memory error can be allocated again: it is not in the free lists, nor is its folio used.

    As long as a frame with a memory error is in a folio of a pool, the head of the folio has `PG_hwpoison`, so
    that it is never taken from the free list of the pool. After the folio is freed, the frame has no owner.
    Every release breaks the rule where a folio with a memory error is freed without `memory_failure()`: a known fault.
    """
    machine = survey.machine
    frames = machine.frames
    if not machine.poisoned or not isinstance(frames, FrameAllocator):
        return
    pages, layout = machine.struct_pages, machine.struct_pages.layout
    poisoned = np.array(sorted(machine.poisoned), dtype=np.int64)
    marked = pages.words(poisoned, layout.flags) >> np.uint64(layout.pg_hwpoison) & np.uint64(1) != 0
    free = frames.owner(poisoned) == Owner.FREE
    for pfn in poisoned[free & marked][:LISTED].tolist():
        report("a frame with a memory error is free", f"PFN {pfn:#x}, which has PG_hwpoison", fault=FREED_AS_BLOCK)
    for pfn in poisoned[free & ~marked][:LISTED].tolist():
        report("a frame with a memory error is free", f"PFN {pfn:#x}, which has no PG_hwpoison", fault=FORGOTTEN)
    for pool in survey.pools:
        for pfn in poisoned.tolist():
            folio = pages.va(pfn & -(1 << pool.h.order))
            if folio in pool.live and not pool.folio.poisoned(folio):
                where = f"PFN {pfn:#x}, folio VA {folio:#x}"
                report("a folio with a memory error has no PG_hwpoison", where, fault=_reused(machine, pfn))


def _reused(machine: Machine, pfn: int) -> str:
    """Return the fault by which a frame was freed in a block and allocated again; empty if it was not freed so."""
    blocks = machine.freed_blocks
    freed = any(blocks.get(pfn & -(1 << order)) == order for order in set(blocks.values()))
    return FREED_AS_BLOCK * freed


def taken_off(survey: Survey) -> Pfns:
    """Return the frames that memory_failure() has removed from the free lists: allocated, and in no folio."""
    poisoned, frames = np.array(sorted(survey.machine.poisoned), dtype=np.int64), survey.machine.frames
    if not poisoned.size or not isinstance(frames, FrameAllocator):
        return poisoned[:0]
    pages = survey.machine.struct_pages
    alone = frames.owner(poisoned) == Owner.ALLOCATED
    alone &= pages.words(poisoned, pages.layout.private) == TAKEN_OFF  # else its block was lost, or is used again
    for folios in survey.folios:
        alone &= ~np.isin(poisoned & -(1 << folios.order), folios.pfns)
    found: Pfns = poisoned[alone]
    return found


POISON = Invariant(21, "poison", state=_check_poison)
