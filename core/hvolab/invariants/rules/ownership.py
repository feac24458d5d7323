# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of frames: their owners, and the frames of self-hosted vmemmap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arrays import common
from hvolab.invariants.faults import lost_heads
from hvolab.invariants.invariant import LISTED, Invariant, Report
from hvolab.invariants.ledger import watch_frames
from hvolab.invariants.rules.poison import taken_off
from hvolab.invariants.survey import Folios, Pfns, Survey
from hvolab.machine import FrameAllocator
from hvolab.machine.frames.source import Owner


def _check_ownership(survey: Survey, report: Report) -> None:
    """Every frame has exactly one owner; no entry and no TLB entry of any CPU maps a free frame.

    No frame is behind two pages of vmemmap, except the frame that tails of optimized folios share; none is a page table
    as well. A page that the tails of a zone and order share belongs to the zone: it is never freed, and nothing else is
    in it. No entry of the vmemmap, and no TLB entry of any CPU for it, maps a free frame. Every allocated frame belongs
    to the vmemmap, to a zone's tails, to a page table, or to a folio, or has a memory error: none is lost. A monitor
    checks that at the end of each batch, and names the folio.
    """
    frames = survey.machine.frames
    mapped = (survey.frames >= 0) & ~_shared_tails(survey)
    behind = survey.frames[mapped]
    owned = _owned(survey, behind)
    again = owned[1:][owned[1:] == owned[:-1]]
    for pfn in np.unique(again)[:LISTED].tolist() if again.size else ():
        pages = np.flatnonzero(mapped & (survey.frames == pfn))[:2].tolist()
        what = (
            "is behind two vmemmap pages" if len(pages) > 1 else "is shared by the tails of a zone, and has another use"
        )
        report(f"PFN {pfn:#x} {what}", " and ".join(survey.where(page) for page in pages))
    if not isinstance(frames, FrameAllocator):
        return
    for pfn in _free(frames, behind).tolist():
        page = int(np.flatnonzero(survey.frames == pfn)[0])
        report(f"PFN {pfn:#x} is free, but an entry maps it", survey.where(page))
    for pfns, use in ((survey.tables, "is a page table"), (survey.tail_pages, "is shared by the tails of a zone")):
        for pfn in _free(frames, pfns).tolist():
            report(f"PFN {pfn:#x} is free, but {use}", f"PFN {pfn:#x}")
    for pfn in common(survey.tables, owned)[:LISTED].tolist():
        report(f"PFN {pfn:#x} is a page table and backs the vmemmap", f"PFN {pfn:#x}")
    _check_translations(survey, frames, report)
    _check_leaks(survey, frames, owned, report)


def _shared_tails(survey: Survey) -> npt.NDArray[np.bool_]:
    """Return for each vmemmap page whether it is a tail of an optimized folio that has the frame that tails share."""
    found = np.zeros(survey.frames.size, dtype=np.bool_)
    for folios in survey.chunks():
        optimized = Folios(folios.order, folios.pfns[survey.optimized(folios.pfns)])
        heads, shared = survey.positions(optimized.pfns), survey.tail_frames(optimized)
        tails = heads[:, None] + np.arange(1, survey.sizes(folios).pages)
        found[tails] = survey.frames[tails] == shared[:, None]
    return found


def _free(frames: FrameAllocator, pfns: Pfns) -> Pfns:
    """Return the first frames that are free."""
    free: Pfns = pfns[frames.owner(pfns) == Owner.FREE][:LISTED]
    return free


def _check_translations(survey: Survey, frames: FrameAllocator, report: Report) -> None:
    """Report TLB entries of the vmemmap that map free frames."""
    for cached in survey.translations:
        free = np.flatnonzero(frames.owner(cached.frames) == Owner.FREE)
        if not free.size:
            continue
        _, firsts = np.unique(cached.number[free], return_index=True)  # a translation may map many of them
        for row in free[firsts].tolist():
            what = f"PFN {int(cached.frames[row]):#x} is free, but CPU {cached.cpu} still has a translation to it"
            report(what, f"VA {int(cached.vas[row]):#x}")


def _check_leaks(survey: Survey, frames: FrameAllocator, owned: Pfns, report: Report) -> None:
    """Report that more frames are allocated than have an owner, or fewer."""
    backing, tables, in_folios, others = _owners(survey, frames, owned)
    expected = backing + tables + in_folios + others
    if frames.allocated_frames != expected:
        report(
            f"{frames.allocated_frames} frames are allocated, but {expected} have an owner: {backing} behind the "
            f"vmemmap, {tables} page tables, {in_folios} in folios, {others} others",
            fault=lost_heads(survey, frames.allocated_frames - expected),
        )


def _owners(survey: Survey, frames: FrameAllocator, owned: Pfns) -> tuple[int, int, int, int]:
    """Return how many allocated frames are behind the vmemmap, page tables, in folios, and others."""

    def allocated(pfns: Pfns) -> int:
        return int((frames.owner(pfns) == Owner.ALLOCATED).sum())

    in_folios = sum(allocated(folios.pfns) << folios.order for folios in survey.folios)
    # blocks that the kernel keeps are in no folio, and poisoned frames that it has removed from the free lists
    others = survey.other_frames + survey.machine.lost_frames + taken_off(survey).size
    return allocated(owned), allocated(survey.tables), in_folios, others  # the pages that tails share are in the first


def _owned(survey: Survey, behind: Pfns) -> Pfns:
    """Return the frames behind the vmemmap and those that the tails of a zone share, ascending."""
    owned: Pfns = np.sort(np.concatenate((behind, survey.tail_pages)), kind="stable")
    return owned


def ownerless(survey: Survey) -> int:
    """Return how many frames are allocated and have no owner; negative: so many have an owner and are not allocated."""
    frames = survey.machine.frames
    if not isinstance(frames, FrameAllocator):
        return 0
    behind = survey.frames[(survey.frames >= 0) & ~_shared_tails(survey)]
    return frames.allocated_frames - sum(_owners(survey, frames, _owned(survey, behind)))


OWNERSHIP = Invariant(4, "ownership", state=_check_ownership, history=watch_frames)


def _check_self_hosted(survey: Survey, report: Report) -> None:
    """Frames of self-hosted vmemmap are never freed.

    With memory hotplug and `memmap_on_memory`, the vmemmap of a block of memory is inside that block. HVO returns
    `-ENOTSUPP` for a folio with such vmemmap, and its frames stay behind it.
    """
    machine = survey.machine
    if not machine.self_hosted:
        return
    pfns = np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in machine.self_hosted])
    gone = ~np.isin(pfns, survey.backing)
    if isinstance(machine.frames, FrameAllocator):
        gone |= machine.frames.owner(pfns) == Owner.FREE
    if gone.any():
        report(f"{int(gone.sum())} frames of self-hosted vmemmap no longer back it", f"PFN {int(pfns[gone][0]):#x}")


SELF_HOSTED = Invariant(9, "self_hosted", state=_check_self_hosted)
