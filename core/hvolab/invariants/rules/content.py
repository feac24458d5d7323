# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of the struct pages of folios."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants.invariant import LISTED, Handlers, Invariant, Report
from hvolab.invariants.survey import Folios, Survey
from hvolab.machine import Machine
from hvolab.trace import FolioStep


def _check_content(survey: Survey, report: Report) -> None:
    """Each struct page of a folio equals its model, and the head's content is not changed.

    At rest, a head has `PG_head`; each tail that can be read points to its head, is in the head's node and zone, and
    has `TAIL_MAPPING` unless hugetlb uses the field. While folios are optimized and restored, the bytes of a folio's
    head page stay the same, except the optimized flag.
    """
    pages = survey.machine.struct_pages
    head_bit = np.uint64(1 << pages.layout.pg_head)
    for folios in survey.chunks():
        pfns, sizes = folios.pfns, survey.sizes(folios)
        heads = pages.words(pfns, pages.layout.flags)
        for row in np.flatnonzero(heads & head_bit == 0)[:LISTED].tolist():
            report(f"the head of folio PFN {int(pfns[row]):#x} has no PG_head", _va(survey, pfns[row]))
        _check_page(survey, folios, 0, report)
        others = Folios(folios.order, pfns[~survey.optimized(pfns)])
        for page in range(1, sizes.pages if others.pfns.size else 0):
            _check_page(survey, others, page, report)


def _check_page(survey: Survey, folios: Folios, page: int, report: Report) -> None:
    """Check the tails in one vmemmap page of each folio, all folios at once."""
    machine, layout, pfns = survey.machine, survey.machine.struct_pages.layout, folios.pfns
    per_page = min(survey.sizes(folios).reserve_pages, 1 << folios.order)
    skip = 1 if page == 0 else 0
    frames = survey.frames[survey.positions(pfns) + page]
    words = machine.memory.pages[frames - machine.memory.first_pfn].reshape(pfns.size, -1, layout.words)
    if per_page < words.shape[1]:  # the vmemmap page is shared: take each folio's own part
        starts = (pfns - machine.struct_pages.first_pfn) % words.shape[1]
        words = words[np.arange(pfns.size)[:, None], starts[:, None] + np.arange(per_page)]
    links = [layout.tail_link(machine.struct_pages.va(int(pfn)), folios.order) for pfn in pfns]
    zones = np.uint64(
        ((1 << layout.node_bits) - 1) << layout.node_shift | ((1 << layout.zone_bits) - 1) << layout.zone_shift
    )
    flags = machine.struct_pages.words(pfns, layout.flags)
    used = max(skip, layout.used_subpages if page == 0 else 0)
    checks = (
        ("does not point to its head", "compound_head", skip, ~np.uint64(0), np.array(links, dtype=np.uint64)),
        ("is of another node or zone than its head", "flags", skip, zones, flags & zones),
        ("has no TAIL_MAPPING", "mapping", used, ~np.uint64(0), np.full(pfns.size, layout.tail_mapping, np.uint64)),
    )
    for what, field, start, mask, expected in checks:
        found = words[:, start:per_page, getattr(layout, field) // WORD_BYTES]
        for row, slot in np.argwhere(found & mask != expected[:, None])[:LISTED].tolist():
            tail = page * per_page + start + slot
            report(
                f"tail {tail} of folio PFN {int(pfns[row]):#x} {what}",
                f"{_va(survey, pfns[row] + tail)}, {field} {int(found[row, slot]):#x}",
            )


def _va(survey: Survey, pfn: int) -> str:
    return f"VA {survey.machine.struct_pages.va(int(pfn)):#x}"


def _watch_head_pages(machine: Machine, report: Report) -> Handlers:
    pages, page_size = machine.struct_pages, machine.target.mode.page_size
    head_pages: dict[int, npt.NDArray[np.uint8]] = {}

    def head_page(folio: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of a folio's first vmemmap page as the tables map it, without the optimized flag."""
        offset = int(pages.locate(np.array([pages.pfn(folio)], dtype=np.int64))[0])
        octets = machine.memory.octets[offset : offset + page_size].copy()
        words = octets.view(machine.memory.words.dtype)
        words[pages.layout.private // WORD_BYTES] &= ~np.uint64(1 << pages.layout.hpg_vmemmap_optimized)
        return octets

    def step(event: FolioStep) -> None:
        """Compare the head page at the end with that at the beginning."""
        now = head_page(event.folio)
        if event.step.endswith("begin"):
            head_pages[event.folio] = now
            return
        changed = np.flatnonzero(head_pages.pop(event.folio, now) != now)
        if changed.size:
            where = f"folio VA {event.folio:#x}, byte {int(changed[0]):#x}"
            report("the content of a folio's head page changed", where)

    return {FolioStep: step}


CONTENT = Invariant(5, "content", state=_check_content, history=_watch_head_pages)
