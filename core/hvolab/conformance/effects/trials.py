# SPDX-License-Identifier: GPL-2.0-only
"""Inputs to try each step with: few items and many, a comparison that holds and one that does not, lists, no list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hvolab.errors import MachineError
from hvolab.machine import Machine
from hvolab.release.gfp import GFP_KERNEL

#: An odd number: its multiples, which fill pages, all differ.
_GOLDEN = 0x9E3779B97F4A7C15
_ORDER = 2

Inputs = dict[str, int]


@dataclass(frozen=True)
class TrialPages:
    """Four pages to try steps on: VAs in the direct map, for lists of VAs, data, data, and chains."""

    machine: Machine
    a: int
    b: int
    c: int
    d: int

    @classmethod
    def of(cls, machine: Machine) -> TrialPages:
        """Allocate the pages; raises MachineError if there are none."""
        first = machine.alloc_pages(GFP_KERNEL, _ORDER)
        if first is None:
            raise MachineError("no free memory to try instructions on", where=str(machine.target))
        pages = cls(machine, *(machine.page_to_virt(first + page) for page in range(1 << _ORDER)))
        pages.fill()
        return pages

    def fill(self) -> None:
        """Fill the pages: with words that differ, VAs in `a`, chains in `d`."""
        mode, memory = self.machine.target.mode, self.machine.memory
        words = memory.word_view(self.a - self.machine.virt(0), 4 * mode.page_size // 8)
        words[:] = np.arange(1, words.size + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        self._put(self.a, [self.b + 8 * each for each in (5, 0, 9, 2)])
        self._put(self.a + 256, [self.c + 8 * each for each in (40, 10, 80, 0)])
        for at, link in ((0, 64), (64, 128), (128, 0), (512, 512)):
            self._put(self.d + at, [self.d + link])

    def _put(self, va: int, values: Sequence[int]) -> None:
        words = self.machine.memory.word_view(va - self.machine.virt(0), len(values))
        words[:] = np.array(values, dtype=np.uint64)

    def word(self, va: int) -> int:
        """Return the word at `va`."""
        return self.machine.memory.read_word(va - self.machine.virt(0))


def trials(pages: TrialPages, step: str) -> list[Inputs]:
    """Return the inputs of a step by name, one dictionary for each trial."""
    a, b, c, d = pages.a, pages.b, pages.c, pages.d
    word, size = pages.word(b), pages.machine.target.mode.page_size
    exchange = [{"old": word, "new": 3}, {"old": word ^ 1, "new": 4}]
    return {
        "load": [{"va": b}],
        "store": [{"va": b, "value": (1 << 64) - 2}],
        "touch": [{"va": b}],
        "compare_and_swap": [{"va": b, **values} for values in exchange],
        "write_entry": [{"slot": b + 16, "entry": 1 << 63 | 3}],
        "exchange_entry": [{"slot": b, **values} for values in exchange],
        "flush_page": [{"va": b}],
        "flush_pages": [{"first": b, "count": 1, "size": size}, {"first": b, "count": 7, "size": size}],
        "copy_bytes": [{"to": b + 3, "from": c + 1, "count": 1}, {"to": b + 3, "from": c + 1, "count": 99}],
        "copy_words": [{"to": b, "from": c + 8, "count": 1}, {"to": b, "from": c + 8, "count": 77}],
        "load_words": [{"vas": a, "to": c, "count": 1}, {"vas": a, "to": a, "count": 4}],
        "store_words": [{"vas": a, "values": c, "count": 1}, {"vas": a, "values": c + 8, "count": 4}],
        "copy_runs": [
            {"to": a, "from": a + 256, "count": 1, "words": 1},
            {"to": a, "from": a + 256, "count": 4, "words": 2},
            {"to": a + 16, "from": a + 256, "count": 1, "words": 27},
            {"to": a + 8, "from": a + 264, "count": 1, "words": 8},
        ],
        "write_entry_rows": [
            {"slots": a, "entries": c, "rows": 1, "columns": 1},
            {"slots": a, "entries": c + 8, "rows": 4, "columns": 2},
        ],
        "load_chain": [
            {"va": d, "end": d, "to": c, "limit": 9},
            {"va": d, "end": d, "to": c, "limit": 1},
            {"va": d + 512, "end": d + 512, "to": c, "limit": 9},
            {"va": d, "end": 0, "to": c, "limit": 11},
        ],
    }.get(step, [{}])
