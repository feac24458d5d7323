# SPDX-License-Identifier: GPL-2.0-only
"""Known faults of kernel releases, by the findings that they explain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.invariants.survey import Pfns, Survey
from hvolab.machine import Machine
from hvolab.release.faults import DEMOTED_AS_OPTIMIZED, LOST_HEADS, RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD


def restored_as_heads(machine: Machine) -> tuple[int, str]:
    """Return how many struct pages of each restored page of vmemmap the release's code makes wrong, and its fault.

    Restored tails are copies of the head's page, and the struct pages that hugetlb uses are not reset: 0 and an empty
    fault where the release's code does not do so.
    """
    if RESTORED_AS_HEADS not in machine.target.release.faults:
        return 0, ""
    return machine.struct_pages.layout.used_subpages, RESTORED_AS_HEADS


def demoted_as_optimized(machine: Machine, pfns: Pfns) -> npt.NDArray[np.bool_]:
    """Return for each folio with the optimized flag whether the release's code may have set it by demotion.

    The folio is part of one that was restored as copies of its head: the struct page after the head's page of vmemmap
    has PG_head.
    """
    layout = machine.struct_pages.layout
    if DEMOTED_AS_OPTIMIZED not in machine.target.release.faults:
        return np.zeros(pfns.size, dtype=np.bool_)
    copies = machine.struct_pages.words(pfns + machine.target.mode.page_size // layout.size, layout.flags)
    found: npt.NDArray[np.bool_] = copies >> np.uint64(layout.pg_head) & np.uint64(1) != 0
    return found


def is_demoted(machine: Machine, folio: int) -> bool:
    """Return whether demotion may have set the flag of a folio that is about to be restored: its tails are its own."""
    tables, page_size = machine.tables, machine.target.mode.page_size
    pfns = np.array([machine.struct_pages.pfn(folio)], dtype=np.int64)
    return bool(demoted_as_optimized(machine, pfns)[0]) and tables.frame_of(folio) != tables.frame_of(folio + page_size)


def lost_heads(survey: Survey, ownerless: int) -> str:
    """Return the fault of a release whose code loses head pages, if each frame without an owner is counted as vmemmap.

    A folio is not optimized whose vmemmap takes several page tables, and entries of the last level map it.

    ownerless  frames that are allocated and have no owner
    """
    if LOST_HEADS not in survey.machine.target.release.faults or survey.overcounted != ownerless or ownerless <= 0:
        return ""
    table = survey.machine.target.mode.levels[-2].size
    rolled_back = any(
        (~survey.optimized(folios.pfns) & (survey.raws[survey.positions(folios.pfns)] != 0)).any()
        for folios in survey.folios
        if survey.sizes(folios).size > table
    )
    return LOST_HEADS * rolled_back


def skipped_grace_period(machine: Machine, folio: int) -> str:
    """Return the fault of a release whose code skips a grace period, if the folio follows another one on a list.

    folio  VA of the first folio of a batch that is not skipped; it is on the batch's list
    """
    if SKIPPED_GRACE_PERIOD not in machine.target.release.faults:
        return ""
    pages = machine.struct_pages
    before = pages.pfn(pages.word(pages.pfn(folio), pages.layout.lru_prev))
    in_vmemmap = any(first <= before < last for first, last in machine.vmemmap)
    return SKIPPED_GRACE_PERIOD * in_vmemmap
