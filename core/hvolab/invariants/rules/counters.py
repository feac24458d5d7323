"""`nr_memmap_pages + nr_memmap_boot_pages` is the number of frames that back the vmemmap.

Each frame is counted once, however many entries map it. Which counter has it depends on the allocator: that of boot,
or the page allocator.
"""

from __future__ import annotations

from hvolab.hvo import HvoVariant
from hvolab.invariants.invariant import Invariant, Report
from hvolab.invariants.survey import Survey


def _state(survey: Survey, report: Report) -> None:
    backing, counters = survey.backing.size, survey.machine.counters
    if counters.total != backing:
        report(
            f"nr_memmap_pages {counters.nr_memmap_pages} + nr_memmap_boot_pages {counters.nr_memmap_boot_pages} "
            f"= {counters.total}, but {backing} frames back the vmemmap",
        )


def _applies_to(variant: HvoVariant) -> bool:
    return variant.counts_memmap and not variant.shares_tail_page  # v7.2 does not count the pages that tails share


INVARIANT = Invariant(3, "counters", __doc__, state=_state, applies_to=_applies_to)
