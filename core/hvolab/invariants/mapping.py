"""Invariants 1 to 3: entries against flags, the static key, the counters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryUpdateRule, PgprotRole
from hvolab.hvo import VmemmapSizes
from hvolab.invariants.finding import Finding, Rule
from hvolab.invariants.survey import Folios, Survey

#: Folios looked at at once: bounds the memory that a check of a large machine needs.
_CHUNK = 1 << 16


def chunks(folios: Folios, pages: int) -> Iterator[npt.NDArray[np.int64]]:
    """The folios' PFNs, so many at once that their vmemmap pages stay few."""
    step = max(1, _CHUNK * 8 // pages)
    for first in range(0, folios.pfns.size, step):
        yield folios.pfns[first : first + step]


def sizes_of(survey: Survey, folios: Folios) -> VmemmapSizes:
    """The sizes of the vmemmap of these folios."""
    machine = survey.machine
    return VmemmapSizes(folios.order, machine.target.mode.page_size, machine.struct_pages.layout.size)


def optimized_flags(survey: Survey, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the folios have the optimized flag in their head struct page, as the tables map it."""
    machine, layout = survey.machine, survey.machine.struct_pages.layout
    private = machine.struct_pages.words(pfns, layout.private)
    return (private >> np.uint64(layout.hpg_vmemmap_optimized) & np.uint64(1)).astype(np.bool_)


def check_remapped(survey: Survey, folios: Folios) -> Iterator[Finding]:
    """Invariant 1, one finding for each folio that breaks it.

    Where the kernel can lose the replacement of an entry, an optimized folio may keep tails with pages of their own.
    """
    target = survey.machine.target
    sizes = sizes_of(survey, folios)
    kernel = np.uint64(target.bits(target.mode.last.name, PgprotRole.KERNEL))
    read_only = np.uint64(target.bits(target.mode.last.name, PgprotRole.KERNEL_RO))
    shift = np.uint64(target.mode.page_shift)
    partly = target.traits.entry_update is not EntryUpdateRule.STORE
    for pfns in chunks(folios, sizes.pages):
        flagged = optimized_flags(survey, pfns)[:, None]
        rows = survey.positions(pfns)[:, None] + np.arange(sizes.pages)
        frames, raws = survey.frames[rows], survey.raws[rows]
        own = target.page_form.put_address(frames.astype(np.uint64) << shift) | kernel
        shared = np.broadcast_to((own[:, :1] & ~kernel) | read_only, raws.shape).copy()
        shared[:, 0] = own[:, 0]
        # a page that is not optimized is kernel memory like any other: RW, by page or by leaf
        right = np.where(flagged, raws == shared, (raws == 0) | (raws == own))
        right[:, 1:] &= flagged | (frames[:, 1:] != frames[:, :1])
        if partly:
            right |= flagged & (raws == own)
        for row in np.flatnonzero(~right.all(axis=1)).tolist():
            column = int(np.flatnonzero(~right[row])[0])
            state = "has the optimized flag" if flagged[row, 0] else "has no optimized flag"
            page = "its head page" if column == 0 else f"tail page {column}"
            expected = shared if flagged[row, 0] else own
            yield Finding(
                Rule.REMAPPED,
                f"folio PFN {int(pfns[row]):#x} {state}, but {page} is not mapped so",
                f"{survey.where(int(rows[row, column]))}, expected {int(expected[row, column]):#018x}",
            )


def check_static_key(survey: Survey, every: tuple[Folios, ...]) -> Iterator[Finding]:
    """Invariant 2."""
    counted = sum(int(optimized_flags(survey, folios.pfns).sum()) for folios in every)
    if counted != survey.machine.key:
        yield Finding(Rule.STATIC_KEY, f"the static key is {survey.machine.key}, but {counted} folios are optimized")


def check_counters(survey: Survey) -> Iterator[Finding]:
    """Invariant 3."""
    backing = survey.backing.size
    counters = survey.machine.counters
    if counters.total != backing:
        yield Finding(
            Rule.COUNTERS,
            f"nr_memmap_pages {counters.nr_memmap_pages} + nr_memmap_boot_pages {counters.nr_memmap_boot_pages} "
            f"= {counters.total}, but {backing} frames back the vmemmap",
        )
