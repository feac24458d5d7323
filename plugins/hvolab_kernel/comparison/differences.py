# SPDX-License-Identifier: GPL-2.0-only
"""Differences between the two machines after the same steps: results, calls, counters and bytes, decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Final

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Machine
from hvolab.release import StructPageLayout
from hvolab_kernel.comparison.calls import describe_call
from hvolab_kernel.comparison.machine_pair import MachinePair, StepResults
from hvolab_kernel.running.watchpoint import vmemmap_tables

#: Differing words of memory that are decoded; more are only counted.
_MAX_WORDS: Final = 8


@dataclass(frozen=True)
class StateDifference:
    """A difference between the kernel's code and the engine.

    what            a result, a call, an entry, a word of a struct page, a counter or a finding
    kernel, engine  both values, decoded
    """

    what: str
    kernel: str
    engine: str


def differing_results(results: StepResults) -> Iterator[StateDifference]:
    """Yield the difference in the result of a step, the first outside call that differs, and the findings."""
    step, engine, kernel, findings, place = results
    if engine.value != kernel.value:
        yield StateDifference(f"result of {step}", str(kernel.value), str(engine.value))
    for number, (theirs, ours) in enumerate(zip_longest(kernel.calls, engine.calls), start=1):
        if theirs != ours:
            yield StateDifference(
                f"outside call {number} of {step}", _placed(describe_call(theirs), place), describe_call(ours)
            )
            break
    for text in findings:
        yield StateDifference(f"finding in {step}", text, "")
    for text in kernel.unbalanced:
        yield StateDifference(f"lock or counter after {step}", text, "")


def _placed(text: str, place: str) -> str:
    return f"{text}; where: {place}" if place else text


def differing_counters(pair: MachinePair) -> Iterator[StateDifference]:
    """Yield differences in the counters, the static key, grace periods, and the number of free frames."""
    engine, kernel = (
        counters_of(one.machine) | {"grace periods": one.machine.grace_periods, "free frames": one.frames.free_frames}
        for one in pair.both
    )
    for name, value in kernel.items():
        if value != engine[name]:
            yield StateDifference(name, f"{value}", f"{engine[name]}")


def counters_of(machine: Machine) -> dict[str, int]:
    """Return a machine's counters of vmemmap pages and its static key."""
    return {**asdict(machine.counters), "static key": machine.key}


def differing_memory(pair: MachinePair) -> Iterator[StateDifference]:
    """Yield differences in memory that is or was in use: page tables, struct pages, lists, contents of new frames.

    Omits `page->lru` of vmemmap pages that were or may have been allocated or freed: the kernel links them through it,
    the engine keeps a list of its own.
    """
    words = pair.differing_words()
    if words:  # which they are in most cases that free pages
        omitted = _lru_words(pair)
        words = [word for word in words if word not in omitted]
    if words:
        decoder = _Decoder(pair)
        yield from map(decoder.difference, words[:_MAX_WORDS])
    if len(words) > _MAX_WORDS:
        yield StateDifference(f"{len(words) - _MAX_WORDS} more words of memory", "", "")


def _lru_words(pair: MachinePair) -> set[int]:
    """Return the indices of the words that hold the lru of vmemmap pages."""
    machine, pages = pair.kernel.machine, pair.kernel.machine.struct_pages
    pfns = np.flatnonzero(pair.kernel.listed | pair.engine.listed) + machine.memory.first_pfn
    struct_pages = pages.locate(pfns) if pfns.size else pfns
    return {
        word
        for offset in (pages.layout.lru_next, pages.layout.lru_prev)
        for word in ((struct_pages + offset) // WORD_BYTES).tolist()
    }


class _Decoder:
    """Decodes words of memory: entries of page tables that map the vmemmap, fields of struct pages, bare frames."""

    def __init__(self, pair: MachinePair) -> None:
        self._pair = pair
        machine = self._machine = pair.kernel.machine
        pages, vmemmap = machine.struct_pages, machine.vmemmap
        self._vmemmap = pages.va(vmemmap[0][0]), pages.va(vmemmap[-1][1])
        self._tables = vmemmap_tables(pair.engine.machine) | vmemmap_tables(machine)

    def difference(self, word: int) -> StateDifference:
        """Return the difference in a word of memory."""
        machine, mode = self._machine, self._machine.target.mode
        pa = machine.memory.base + word * WORD_BYTES
        engine, kernel = (int(one.machine.memory.words[word]) for one in self._pair.both)
        table = self._tables.get(pa >> mode.page_shift)
        if table is None:
            return StateDifference(self._place(pa), f"{kernel:#018x}", f"{engine:#018x}")
        name, start = table
        va = start + (pa % mode.page_size) // WORD_BYTES * mode.level(name).size
        describe = machine.target.describe
        what, code = f"{name} entry of VA {va:#x}", self._pair.kernel.code
        place = "" if code is None else code.of_text(what)
        return StateDifference(what, _placed(describe(name, kernel), place), describe(name, engine))

    def _place(self, pa: int) -> str:
        """Name a PA as the kernel's machine maps it: a field of a struct page, or an offset in a frame."""
        machine, page_size = self._machine, self._machine.target.mode.page_size
        pages, (start, end) = machine.struct_pages, self._vmemmap
        frames = machine.tables.frames(start, (end - start) // page_size)
        positions = np.flatnonzero(frames == pa // page_size)
        if not positions.size:
            return f"PFN {pa // page_size:#x}, offset {pa % page_size:#x}"
        va = start + int(positions[0]) * page_size + pa % page_size
        return f"struct page of PFN {pages.pfn(va):#x}, {_field(pages.layout, (va - pages.base) % pages.layout.size)}"


def _field(layout: StructPageLayout, offset: int) -> str:
    names = ("flags", "lru_next", "lru_prev", "mapping", "index", "private", "page_type")
    return next((name for name in names if getattr(layout, name) == offset), f"offset {offset}")
