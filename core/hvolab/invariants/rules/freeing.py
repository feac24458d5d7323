# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of the struct pages of frames that are freed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from hvolab.invariants.faults import restored_as_heads
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.invariants.survey import Pfns, Survey
from hvolab.machine import FrameAllocator, Machine
from hvolab.machine.frames.source import Owner
from hvolab.trace import BadPages
from hvolab.units import format_size

#: Struct pages that are looked at together.
_CHUNK = 1 << 14


@dataclass
class _Kind:
    """Struct pages that are wrong in the same way.

    struct_pages, blocks  how many, by the order of their block
    lost                  frames that the kernel keeps because of the blocks
    example               the first of them, decoded
    known                 whether a known fault of the release predicts every one
    """

    example: str
    struct_pages: Counter[int] = field(default_factory=Counter)
    blocks: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    known: bool = True

    def counts(self, page_size: int) -> str:
        """Return how many struct pages of how many blocks."""
        counts = [
            f"{self.struct_pages[order]} struct pages of {_blocks(count, order, page_size)}"
            for order, count in sorted(self.blocks.items())
        ]
        total = f"{self.struct_pages.total()} in all: " if len(counts) > 1 else ""
        return total + ", ".join(counts)


def _blocks(count: int, order: int, page_size: int) -> str:
    noun = "folio" if order else "page"
    return f"{count} freed {noun}{'s' * (count != 1)} of {format_size(page_size << order)}"


class _Freed:
    """Struct pages that were wrong when their block was freed, by the reason."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._report = report
        self._kinds: dict[tuple[str, bool], _Kind] = {}

    def bad(self, event: BadPages) -> None:
        """Count what an event reports, and report the kind again."""
        machine, key = self._machine, (event.reason, event.reported)
        kind = self._kinds.get(key)
        if kind is None:
            first = int(event.pfns[0])
            number = (
                f"struct page {first - event.pfn} of folio PFN {event.pfn:#x}" if event.order else f"PFN {first:#x}"
            )
            kind = self._kinds[key] = _Kind(f"{number}: {event.example}")
        kind.struct_pages[event.order] += event.pfns.size
        kind.blocks[event.order] += 1 if event.order else event.pfns.size
        kind.lost += event.lost
        predicted, fault = restored_as_heads(machine)
        kind.known &= _is_known(machine, event.pfns, event.pfn, predicted)
        page_size = machine.target.mode.page_size
        effect = "check_pages is off, and the kernel does not look"
        if event.reported:
            lost = format_size(kind.lost * page_size)
            effect = f'the kernel prints "BUG: Bad page state" and keeps the memory: {lost} lost'
        what = f"{event.reason}: {kind.counts(page_size)}; {effect}"
        self._report(what, kind.example, fault=fault * kind.known, key=key)


def _is_known(machine: Machine, pfns: Pfns, head: int, predicted: int) -> bool:
    """Return whether each struct page is one that a known fault makes wrong: of the first in its page of vmemmap."""
    per_page = machine.target.mode.page_size // machine.struct_pages.layout.size
    numbers = pfns - head
    return bool(((numbers >= per_page) & (numbers % per_page < predicted)).all())


def _watch_freeing(machine: Machine, report: Report) -> Handlers:
    """Count what the machine reports of blocks that are freed."""
    return {BadPages: _Freed(machine, report).bad}


def _check_free(survey: Survey, report: Report) -> None:
    """Struct pages of a block that is freed are as the page allocator demands, then and while the block is free.

    No page type and no mapcount, no mapping, no references, none of the flags in `PAGE_FLAGS_CHECK_AT_FREE`; each tail
    of a compound page has `TAIL_MAPPING` and leads to its head, and the fields in the first tails are those of a folio
    that is not mapped. With `check_pages`, as distributions boot, the kernel prints "Bad page state" and does not free
    the block: its memory is lost. Without, what is wrong stays in struct pages of free memory. A finding counts all
    struct pages with one reason, in the kernel's words, and decodes the first; at rest those of freed blocks are
    counted.

    A release that restores tails as copies of the head's struct pages breaks the rule: a known fault.
    """
    machine = survey.machine
    if not isinstance(machine.frames, FrameAllocator):
        return
    kinds: dict[str, _Kind] = {}
    predicted, fault = restored_as_heads(machine)
    for order in sorted(set(machine.freed_blocks.values())):
        heads = np.array([pfn for pfn, one in machine.freed_blocks.items() if one == order], dtype=np.int64)
        step = max(1, _CHUNK >> order)
        for first in range(0, heads.size, step):
            _count_free(machine, machine.frames, heads[first : first + step], order, predicted, kinds)
    for reason, kind in kinds.items():
        counts = kind.counts(machine.target.mode.page_size)
        report(f"{reason} in free memory: {counts}", kind.example, fault=fault * kind.known)


def _count_free(
    machine: Machine, frames: FrameAllocator, heads: Pfns, order: int, predicted: int, kinds: dict[str, _Kind]
) -> None:
    """Count what is wrong in struct pages of freed blocks that are free."""
    for reason, pfns, _ in machine.free_checker.find_free(heads, order):
        wrong = pfns[frames.owner(pfns) == Owner.FREE]
        if not wrong.size:
            continue
        first = int(wrong[0])
        kind = kinds.setdefault(reason, _Kind(f"PFN {first:#x}: {machine.free_checker.describe(first)}"))
        kind.struct_pages[order] += wrong.size
        kind.blocks[order] += np.unique(wrong >> order).size
        kind.known &= _is_known(machine, wrong, 0, predicted)


FREEING = Invariant(20, "freeing", state=_check_free, history=_watch_freeing)
