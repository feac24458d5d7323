"""Invariants 4, 8 and 9: who owns which frame, what a split leaves, self-hosted vmemmap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hvolab.invariants.finding import Finding, Rule
from hvolab.invariants.mapping import optimized_flags, sizes_of
from hvolab.invariants.survey import Folios, Survey
from hvolab.machine import FrameAllocator
from hvolab.machine.frames.source import Owner

Pfns = npt.NDArray[np.int64]


def aliases(survey: Survey, every: tuple[Folios, ...]) -> npt.NDArray[np.bool_]:
    """Which vmemmap pages are tails of an optimized folio, and so share the frame of its head."""
    found = np.zeros(survey.frames.size, dtype=np.bool_)
    for folios in every:
        sizes = sizes_of(survey, folios)
        if not folios.pfns.size or not sizes.optimizable:
            continue
        heads = survey.positions(folios.pfns[optimized_flags(survey, folios.pfns)])
        for page in range(1, sizes.pages):
            found[heads + page] = survey.frames[heads + page] == survey.frames[heads]
    return found


def check_ownership(survey: Survey, every: tuple[Folios, ...], other_frames: int = 0) -> Iterator[Finding]:
    """Invariant 4: no frame behind two pages, none of them free, none in a TLB while free, none lost.

    other_frames  allocated frames that belong to neither vmemmap, tables nor folios
    """
    frames = survey.machine.frames
    mapped = (survey.frames >= 0) & ~aliases(survey, every)
    owned = np.sort(survey.frames[mapped])
    for pfn in np.unique(owned[1:][owned[1:] == owned[:-1]])[:8].tolist():
        pages = np.flatnonzero(mapped & (survey.frames == pfn))[:2].tolist()
        where = " and ".join(survey.where(page) for page in pages)
        yield Finding(Rule.OWNERSHIP, f"PFN {pfn:#x} is behind two vmemmap pages", where)
    if not isinstance(frames, FrameAllocator):
        return
    for pfn in owned[frames.owner(owned) == Owner.FREE][:8].tolist():
        page = int(np.flatnonzero(survey.frames == pfn)[0])
        yield Finding(Rule.OWNERSHIP, f"PFN {pfn:#x} is free, but an entry maps it", survey.where(page))
    yield from _check_tables(survey, frames, owned)
    yield from check_translations(survey, frames)
    yield from _check_leaks(survey, every, frames, owned, other_frames)


def _check_tables(survey: Survey, frames: FrameAllocator, owned: Pfns) -> Iterator[Finding]:
    for pfn in survey.tables[frames.owner(survey.tables) == Owner.FREE][:8].tolist():
        yield Finding(Rule.OWNERSHIP, f"PFN {pfn:#x} is free, but is a page table", f"PFN {pfn:#x}")
    for pfn in np.intersect1d(survey.tables, owned)[:8].tolist():
        yield Finding(Rule.OWNERSHIP, f"PFN {pfn:#x} is a page table and backs the vmemmap", f"PFN {pfn:#x}")


def check_translations(survey: Survey, frames: FrameAllocator) -> Iterator[Finding]:
    """The part of invariant 4 about TLBs: no CPU has a vmemmap translation to a free frame."""
    pages, shift = survey.machine.struct_pages, survey.machine.target.mode.page_shift
    ends = [pages.va(stop) for _, stop in survey.machine.vmemmap]
    for cpu in survey.machine.cpus:
        held = cpu.cached_translations()
        if held is None or not held.size or not ends:
            continue
        inside = (held[:, 0] >= np.uint64(pages.base)) & (held[:, 0] < np.uint64(max(ends)))
        for va, first, count in held[inside].tolist():
            pfns = np.arange(first, first + count, dtype=np.int64)
            free = pfns[frames.owner(pfns) == Owner.FREE]
            if free.size:
                page = va + ((int(free[0]) - first) << shift)
                yield Finding(
                    Rule.OWNERSHIP,
                    f"PFN {int(free[0]):#x} is free, but CPU {cpu.index} still has a translation to it",
                    f"VA {page:#x}",
                )


def _check_leaks(
    survey: Survey, every: tuple[Folios, ...], frames: FrameAllocator, owned: Pfns, other_frames: int
) -> Iterator[Finding]:
    backing = int((frames.owner(owned) == Owner.ALLOCATED).sum())
    tables = int((frames.owner(survey.tables) == Owner.ALLOCATED).sum())
    inside = sum(_allocated_frames(frames, folios) for folios in every)
    expected = backing + tables + inside + other_frames
    if frames.allocated_frames != expected:
        yield Finding(
            Rule.OWNERSHIP,
            f"{frames.allocated_frames} frames are allocated, but only {expected} have an owner: "
            f"{backing} behind the vmemmap, {tables} page tables, {inside} in folios, {other_frames} others",
        )


def _allocated_frames(frames: FrameAllocator, folios: Folios) -> int:
    owners = frames.owner(folios.pfns) if folios.pfns.size else np.empty(0, dtype=np.uint8)
    return int((owners == Owner.ALLOCATED).sum()) << folios.order


def check_splits(survey: Survey) -> Iterator[Finding]:
    """Invariant 8: every split PMD has a table of its own, and its buddy block was split."""
    tables, counts = np.unique(survey.tables, return_counts=True)
    for pfn in tables[counts > 1][:8].tolist():
        vas = survey.split_vas[survey.tables == pfn][:2].tolist()
        yield Finding(Rule.SPLITS, f"PFN {pfn:#x} is the table of two PMDs", " and ".join(f"VA {va:#x}" for va in vas))
    frames = survey.machine.frames
    if not isinstance(frames, FrameAllocator):
        return
    mode = survey.machine.target.mode
    order = mode.levels[-2].shift - mode.page_shift
    by_page = survey.raws != 0
    heads = np.unique(survey.frames[by_page & (survey.frames % (1 << order) == 0) & (survey.frames >= 0)])
    for pfn in heads.tolist():
        if frames.order_of(pfn) == order:
            page = int(np.flatnonzero(by_page & (survey.frames == pfn))[0])
            yield Finding(
                Rule.SPLITS,
                f"the PMD was split, but the block of order {order} at PFN {pfn:#x} was not",
                survey.where(page),
            )


def check_self_hosted(survey: Survey) -> Iterator[Finding]:
    """Invariant 9: self-hosted vmemmap keeps its frames."""
    machine = survey.machine
    if not machine.self_hosted:
        return
    pfns = np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in machine.self_hosted])
    places = np.minimum(np.searchsorted(survey.backing, pfns), survey.backing.size - 1)
    gone = survey.backing[places] != pfns
    if isinstance(machine.frames, FrameAllocator):
        gone |= machine.frames.owner(pfns) == Owner.FREE
    if gone.any():
        yield Finding(
            Rule.SELF_HOSTED,
            f"{int(gone.sum())} frames of self-hosted vmemmap no longer back it",
            f"PFN {int(pfns[gone][0]):#x}",
        )
