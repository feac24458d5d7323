# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of the mapping: entries against flags, the static key, the counters."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryUpdateRule, PgprotRole, Target
from hvolab.invariants.faults import demoted_as_optimized, lost_heads
from hvolab.invariants.invariant import Invariant, Report
from hvolab.invariants.ledger import watch_counters, watch_key
from hvolab.invariants.rules.ownership import ownerless
from hvolab.invariants.survey import Folios, Pfns, Survey
from hvolab.release.faults import DEMOTED_AS_OPTIMIZED
from hvolab.units import format_size


def _check_remapped(survey: Survey, report: Report) -> None:
    """A folio has the optimized flag if and only if each tail page is mapped to the frame that its tails share.

    In a folio whose head has `HPG_vmemmap_optimized`, every tail entry holds that frame and the bits of the profile's
    `PAGE_KERNEL_RO`, and the head entry holds `PAGE_KERNEL`. The frame is the head's, or, where the release has one for
    each zone and order, that of the head's node and zone. In any other folio each page of vmemmap is mapped by a leaf
    above, or by an entry with `PAGE_KERNEL`, and no tail has that frame. All bits are compared, not only the write
    permission. Where the kernel can lose the replacement of an entry, as in the series of 2026, an optimized folio may
    keep tails with frames of their own.

    A release that demotes copies of an optimized head breaks the rule: a known fault, of which one finding has all.
    """
    target = survey.machine.target
    kernel = np.uint64(target.bits(target.mode.last.name, PgprotRole.KERNEL))
    read_only = np.uint64(target.bits(target.mode.last.name, PgprotRole.KERNEL_RO))
    zoned = target.release.variant.shares_tail_page
    shared_frame = "the frame that tails of its zone and order share" if zoned else "the head's frame"
    for folios in survey.chunks():
        flagged = survey.optimized(folios.pfns)[:, None]
        tails = survey.tail_frames(folios)[:, None]
        rows = survey.positions(folios.pfns)[:, None] + np.arange(survey.sizes(folios).pages)
        frames, raws = survey.frames[rows], survey.raws[rows]
        own = _entries(target, frames) | kernel
        shared = np.broadcast_to(_entries(target, tails) | read_only, raws.shape).copy()
        shared[:, 0] = own[:, 0]
        # a page that is not optimized is kernel memory like any other: RW, by page or by leaf
        right = np.where(flagged, raws == shared, (raws == 0) | (raws == own))
        right[:, 1:] &= flagged | (frames[:, 1:] != tails)
        if target.traits.entry_update is not EntryUpdateRule.STORE:
            right |= flagged & (raws == own)
        demoted = _demoted(survey, folios)
        if demoted.any():
            size = format_size(target.mode.page_size << folios.order)
            what = (
                f"{int(demoted.sum())} folios of {size} have the optimized flag, but no tail page is mapped read-only"
            )
            report(what, f"folio PFN {int(folios.pfns[demoted][0]):#x}", fault=DEMOTED_AS_OPTIMIZED)
        for row in np.flatnonzero(~right.all(axis=1) & ~demoted).tolist():
            column = int(np.flatnonzero(~right[row])[0])
            state, expected = ("the", shared) if flagged[row, 0] else ("no", own)
            page = f"tail page {column}" if column else "its head page"
            mapping = f"read-only to {shared_frame}" if column and flagged[row, 0] else "RW to a frame of its own"
            report(
                f"folio PFN {int(folios.pfns[row]):#x} has {state} optimized flag, but {page} is not mapped {mapping}",
                f"{survey.where(int(rows[row, column]))}, expected {int(expected[row, column]):#018x}",
            )


def _demoted(survey: Survey, folios: Folios) -> npt.NDArray[np.bool_]:
    """Return for each folio whether demotion has set its flag, and no tail has another frame than its own."""
    flagged = survey.optimized(folios.pfns) & demoted_as_optimized(survey.machine, folios.pfns)
    tails = survey.frames[survey.positions(folios.pfns)[:, None] + np.arange(1, survey.sizes(folios).pages)]
    demoted: npt.NDArray[np.bool_] = flagged & (tails != survey.tail_frames(folios)[:, None]).all(axis=1)
    return demoted


def _entries(target: Target, frames: Pfns) -> npt.NDArray[np.uint64]:
    """Return entries with these PFNs and no other bits."""
    entries: npt.NDArray[np.uint64] = target.page_form.put_address(
        frames.astype(np.uint64) << np.uint64(target.mode.page_shift)
    )
    return entries


REMAPPED = Invariant(1, "remapped", state=_check_remapped)


def _check_static_key(survey: Survey, report: Report) -> None:
    """The static key is the number of optimized folios.

    `hugetlb_optimize_vmemmap_key` counts the folios that have the flag, in pools and outside of them. A monitor names
    the folio with which the key changes by another number than one.
    """
    optimized, key = sum(int(survey.optimized(folios.pfns).sum()) for folios in survey.folios), survey.machine.key
    if optimized != key:
        demoted = sum(int(_demoted(survey, folios).sum()) for folios in survey.chunks())
        known = bool(demoted) and key + demoted <= optimized
        what = f"the static key is {key}, but {optimized} folios are optimized"
        report(what, fault=DEMOTED_AS_OPTIMIZED * known)


STATIC_KEY = Invariant(
    2, "static_key", state=_check_static_key, history=watch_key, applies_to=attrgetter("counts_folios")
)


def _check_counters(survey: Survey, report: Report) -> None:
    """`nr_memmap_pages + nr_memmap_boot_pages` is the number of frames that back the vmemmap.

    Each frame is counted once, however many entries map it. Which counter has it depends on the allocator: that of
    boot, or the page allocator. A page that the tails of a zone and order share is not counted. A monitor compares each
    step's changes with its pages.
    """
    counters = survey.machine.counters
    if survey.overcounted:
        terms = f"nr_memmap_pages {counters.nr_memmap_pages} + nr_memmap_boot_pages {counters.nr_memmap_boot_pages}"
        besides = ", besides the pages that tails share" if survey.tail_pages.size else ""
        backing = counters.total - survey.overcounted
        fault = lost_heads(survey, ownerless(survey))
        report(f"{terms} = {counters.total}, but {backing} frames back the vmemmap{besides}", fault=fault)


COUNTERS = Invariant(
    3, "counters", state=_check_counters, history=watch_counters, applies_to=attrgetter("counts_memmap")
)
