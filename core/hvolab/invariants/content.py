"""Invariant 5 as a state: what the struct pages of a folio must say at rest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hvolab.invariants.finding import Finding, Rule
from hvolab.invariants.mapping import chunks, optimized_flags, sizes_of
from hvolab.invariants.survey import Folios, Survey
from hvolab.machine.struct_pages.layout import WORD, StructPageLayout


def check_content(survey: Survey, folios: Folios) -> Iterator[Finding]:
    """Invariant 5: heads are heads, every tail that can be read points to its head and lies in its zone.

    Of an optimized folio the head's page is read, which is all its tails; of others every page.
    """
    machine, layout = survey.machine, survey.machine.struct_pages.layout
    sizes = sizes_of(survey, folios)
    per_page = min(sizes.reserve_pages, 1 << folios.order)
    for pfns in chunks(folios, sizes.pages):
        flagged = optimized_flags(survey, pfns)
        heads = machine.struct_pages.words(pfns, layout.flags)
        for row in np.flatnonzero(heads >> np.uint64(layout.pg_head) & np.uint64(1) == 0)[:8].tolist():
            yield Finding(
                Rule.CONTENT, f"the head of folio PFN {int(pfns[row]):#x} has no PG_head", _va(survey, pfns[row])
            )
        for page in range(sizes.pages):
            chosen = pfns if page == 0 else pfns[~flagged]
            if not chosen.size:
                break
            yield from _check_page(survey, chosen, page, per_page, folios.order)


def _check_page(survey: Survey, pfns: npt.NDArray[np.int64], page: int, per_page: int, order: int) -> Iterator[Finding]:
    """The tails in vmemmap page ``page`` of each folio, all folios at once."""
    machine, layout = survey.machine, survey.machine.struct_pages.layout
    first = page * per_page
    skip = 1 if page == 0 else 0
    frames = survey.frames[survey.positions(pfns) + page]
    words = machine.memory.pages[frames - machine.memory.first_pfn].reshape(pfns.size, -1, layout.words)
    if per_page < words.shape[1]:  # the vmemmap page is shared: take each folio's own part
        starts = (pfns - machine.struct_pages.first_pfn) % words.shape[1]
        words = words[np.arange(pfns.size)[:, None], starts[:, None] + np.arange(per_page)]
    rows = words[:, skip:per_page]
    expected = np.array([layout.tail_link(machine.struct_pages.va(int(pfn)), order) for pfn in pfns], dtype=np.uint64)
    wrong = rows[:, :, layout.compound_head // WORD] != expected[:, None]
    for row, slot in np.argwhere(wrong)[:8].tolist():
        yield Finding(
            Rule.CONTENT,
            f"tail {first + skip + slot} of folio PFN {int(pfns[row]):#x} does not point to its head",
            f"{_va(survey, pfns[row] + first + skip + slot)}, "
            f"compound_head {int(rows[row, slot, layout.compound_head // WORD]):#x}",
        )
    heads = machine.struct_pages.words(pfns, layout.flags)
    links = np.uint64(_links_mask(layout))
    alike = rows[:, :, layout.flags // WORD] & links == (heads & links)[:, None]
    for row, slot in np.argwhere(~alike)[:8].tolist():
        yield Finding(
            Rule.CONTENT,
            f"tail {first + skip + slot} of folio PFN {int(pfns[row]):#x} is of another node or zone than its head",
            f"{_va(survey, pfns[row] + first + skip + slot)}, flags {int(rows[row, slot, layout.flags // WORD]):#x}",
        )
    start = max(skip, layout.used_subpages if page == 0 else 0)
    mappings = words[:, start:per_page, layout.mapping // WORD]
    for row, slot in np.argwhere(mappings != np.uint64(layout.tail_mapping))[:8].tolist():
        yield Finding(
            Rule.CONTENT,
            f"tail {first + start + slot} of folio PFN {int(pfns[row]):#x} has no TAIL_MAPPING",
            f"{_va(survey, pfns[row] + first + start + slot)}, mapping {int(mappings[row, slot]):#x}",
        )


def _links_mask(layout: StructPageLayout) -> int:
    """The flags bits of node and zone."""
    node = ((1 << layout.node_bits) - 1) << layout.node_shift
    return node | ((1 << layout.zone_bits) - 1) << layout.zone_shift


def _va(survey: Survey, pfn: int) -> str:
    return f"VA {survey.machine.struct_pages.va(int(pfn)):#x}"
