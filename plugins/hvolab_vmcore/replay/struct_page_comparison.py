# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of the struct pages of huge pages, as far as two cores allow.

Between the cores the kernel did more than HVO: it allocated folios, added them to a pool, and freed them. Words that
these operations write are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import repeat
from typing import SupportsInt

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine.struct_pages.lists import POISON
from hvolab_vmcore.core.memory import Flags, Ints, Words
from hvolab_vmcore.replay.comparison import ReplayComparison, ReplayDifference
from hvolab_vmcore.replay.plan import Folio, ReplayPlan
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.scan import Scan

_HALF = WORD_BYTES // 2
_OPTIMIZED, _RESTORED = "struct pages of optimized huge pages", "struct pages of restored huge pages"
_PASSING = "struct pages of huge pages that were optimized and restored"
_FREED_HEADS = "struct pages in the head's frame of restored huge pages"


def compare_struct_pages(
    engine: Scan,
    kernel: Scan,
    plan: ReplayPlan,
    placeholders: frozenset[Folio] = frozenset(),
) -> ReplayComparison:
    """Compare the struct pages of all huge pages in two scans.

    plan          the operations
    placeholders  those whose head page is a placeholder for one that the core before does not hold
    """
    comparison = _Comparison(engine, kernel)
    theirs = {huge.order: huge for huge in kernel.huge_pages}
    for ours in engine.huge_pages:
        comparison.compare_optimized(ours, theirs[ours.order])
        comparison.compare_flags(theirs[ours.order])
    for pfn, order in plan.restored:
        if (pfn, order) not in placeholders:
            comparison.compare_restored(pfn, order)
    for pfn, order in plan.passing:
        comparison.compare_passing(pfn, order)
    for (what, why), count in comparison.omitted.items():
        comparison.result.leave_out(what, count, why)
    return comparison.result


class _Comparison:
    """Comparison of two scans, with its result and the omissions so far."""

    def __init__(self, engine: Scan, kernel: Scan) -> None:
        self._engine = engine
        self._kernel = kernel
        self._layout = engine.snapshot.struct_pages.layout
        self._size = self._layout.size
        self._per_page = engine.snapshot.target.mode.page_size // self._size
        self.result = ReplayComparison()
        self.omitted: Counter[tuple[str, str]] = Counter()

    def compare_optimized(self, ours: HugePages, theirs: HugePages) -> None:
        """Compare the huge pages that are optimized on both sides."""
        mine, other = np.flatnonzero(ours.optimized), np.flatnonzero(theirs.optimized)
        _, left, right = np.intersect1d(ours.pfns[mine], theirs.pfns[other], assume_unique=True, return_indices=True)
        for index, kernel_index in zip(mine[left].tolist(), other[right].tolist(), strict=True):
            row, kernel_row = int(ours.rows[index]), int(theirs.rows[kernel_index])
            va = self._engine.pages.va(row)
            engine_head = _page(self._engine, self._engine.pages.frames[row])
            kernel_head = _page(self._kernel, self._kernel.pages.frames[kernel_row])
            if engine_head is None or kernel_head is None:
                self.omitted[_OPTIMIZED, "the head's frame is not in the core after"] += ours.pages * self._per_page
                continue
            self._compare_head(va, engine_head, kernel_head)
            self.result.compared += self._per_page
            frames = self._kernel.pages.frames[kernel_row : kernel_row + ours.pages]
            if ours.sharing[index] == theirs.sharing[kernel_index] == Sharing.TAIL:
                shared = _page(self._engine, ours.shared[index])
                self._compare_tails(va, frames, shared, "a tail page differs from the engine's")
            else:
                self._compare_tails(va, frames, kernel_head, "a tail page does not read as the head's page")

    def _compare_head(self, va: int, ours: Words, theirs: Words) -> None:
        """Compare the head's page: PG_head, HPG_vmemmap_optimized, the order, and compound_head of its tails."""
        layout = self._layout
        order = layout.folio_order.place(layout.size, self._engine.snapshot.core.byte_order)
        self._compare_bits("PG_head", va, layout.flags, 1 << layout.pg_head, ours, theirs)
        self._compare_optimized_flag(va, ours, theirs)
        self._compare_bits("folio order", va, order.offset, order.mask << order.shift, ours, theirs)
        step = self._size // WORD_BYTES
        heads = slice(layout.compound_head // WORD_BYTES + step, None, step)
        places = np.flatnonzero(ours[heads] != theirs[heads])
        vas = (va + layout.compound_head + (place + 1) * self._size for place in places.tolist())
        self._add("tail", "compound_head differs", vas, ours[heads][places], theirs[heads][places])

    def _compare_optimized_flag(self, va: int, ours: Words, theirs: Words) -> None:
        layout = self._layout
        mask = 1 << layout.hpg_vmemmap_optimized
        self._compare_bits("HPG_vmemmap_optimized", va, layout.private, mask, ours, theirs)

    def _compare_bits(self, name: str, va: int, offset: int, mask: int, ours: Words, theirs: Words) -> None:
        """Compare the bits of ``mask`` in the word at ``offset`` of a page."""
        mine, other = ours[offset // WORD_BYTES], theirs[offset // WORD_BYTES]
        if (int(mine) ^ int(other)) & mask:
            self._add("head", f"{name} differs", (va + offset,), (mine,), (other,))

    def _compare_tails(self, va: int, frames: Ints, expected: Words | None, text: str) -> None:
        """Compare each tail page that the kernel maps with the page that it must read as: the head's, or the engine's.

        The words of a head's page are the pool's, too, so it is the kernel's; tail pages of their own are HVO's alone.
        """
        shift = self._engine.pages.shift
        for frame in np.unique(frames[1:]).tolist():
            places = np.flatnonzero(frames[1:] == frame) + 1
            page = _page(self._kernel, frame)
            if page is None or expected is None:
                self.omitted[_OPTIMIZED, "the tail's frame is not in the core after"] += places.size * self._per_page
                continue
            self.result.compared += places.size * self._per_page
            wrong = np.flatnonzero(page != expected)
            if wrong.size:
                first = int(wrong[0])
                vas = (va + (place << shift) + first * WORD_BYTES for place in places.tolist())
                self._add("alias", text, vas, repeat(expected[first]), repeat(page[first]))

    def compare_flags(self, theirs: HugePages) -> None:
        """Compare HPG_vmemmap_optimized of the kernel's huge pages that have it and are not optimized."""
        for row in theirs.rows[theirs.with_sharing(Sharing.NONE) & theirs.heads.optimized].tolist():
            kernel_page = _page(self._kernel, self._kernel.pages.frames[row])
            engine_page = _page(self._engine, self._engine.pages.frames_of(self._kernel.pages.numbers[row]))
            if engine_page is not None and kernel_page is not None:
                self._compare_optimized_flag(self._kernel.pages.va(row), engine_page, kernel_page)

    def compare_restored(self, pfn: int, order: int) -> None:
        """Compare the tail pages of a folio that was restored, without the words that freeing writes."""
        layout, shift = self._layout, self._engine.pages.shift
        numbers, absent = self._tail_pages(pfn, order)
        shape = (numbers.size, self._per_page, layout.words)
        ours, theirs = (contents(scan, numbers).reshape(shape) for scan in (self._engine, self._kernel))
        untouched = self._untouched(theirs)
        self.result.compared += int(untouched.sum())
        self.omitted[_RESTORED, "their frames are not in the core after"] += absent * self._per_page
        self.omitted[_RESTORED, "they were used or put on a free list since"] += int((~untouched).sum())
        self.omitted[_FREED_HEADS, "HVO does not change that frame in a restore, freeing does"] += self._per_page
        self._compare_marks(numbers, numbers[:0])  # the words of untouched ones are compared
        differ = (ours != theirs) & untouched[:, :, None]
        differ[:, :, layout.flags // WORD_BYTES] &= self._flags_differ(ours, theirs)
        for offset in (layout.compound_head, layout.mapping):
            differ[:, :, offset // WORD_BYTES] = False  # freeing clears them
        for page, slot, word in np.argwhere(differ).tolist():
            va = self._engine.pages.base + (int(numbers[page]) << shift) + slot * self._size + word * WORD_BYTES
            text = f"the word at byte {word * WORD_BYTES} differs after the restore"
            self._add("restored", text, (va,), (ours[page, slot, word],), (theirs[page, slot, word],))

    def compare_passing(self, pfn: int, order: int) -> None:
        """Compare only the copies of heads in a folio that was optimized and restored between the cores."""
        numbers, _ = self._tail_pages(pfn, order)
        self.result.compared += numbers.size
        left_out = (1 << order) - numbers.size
        self.omitted[_PASSING, "neither core has them as they were when they were optimized"] += left_out
        theirs = contents(self._kernel, numbers).reshape(numbers.size, self._per_page, self._layout.words)
        self._compare_marks(numbers, numbers[self._untouched(theirs)[:, 0]])

    def _tail_pages(self, pfn: int, order: int) -> tuple[Ints, int]:
        """Return the numbers of those tail pages of a folio that both sides hold, and the count of the others."""
        shift = self._engine.pages.shift
        numbers = (pfn * self._size >> shift) + np.arange(1, self._size << order >> shift, dtype=np.int64)
        there = held_pages(self._engine, numbers) & held_pages(self._kernel, numbers)
        return numbers[there], int((~there).sum())

    def _flags_differ(self, ours: Words, theirs: Words) -> Flags:
        """Return one flag for each struct page: its flags differ by other bits than those that freeing clears.

        Kernel: PAGE_FLAGS_CHECK_AT_PREP in include/linux/page-flags.h, all of it below the last CPU.
        """
        word = self._layout.flags // WORD_BYTES
        mine, other = ours[:, :, word], theirs[:, :, word]
        cleared = np.uint64((1 << self._layout.last_cpupid_shift) - 1)
        differ: Flags = ((mine ^ other) & ~(mine & cleared)) != 0
        return differ

    def _compare_marks(self, numbers: Ints, untouched: Ints) -> None:
        """Compare copies of heads in tail pages.

        Those of the kernel must be the engine's, too, and those of the engine the kernel's where the kernel has not
        used the struct page since.
        """
        theirs = self._kernel.pages.numbers[self._kernel.stale_heads]
        ours = self._engine.pages.numbers[self._engine.stale_heads]
        only_theirs = np.setdiff1d(np.intersect1d(theirs, numbers), ours)
        only_ours = np.setdiff1d(np.intersect1d(ours, untouched), theirs)
        mark = self._layout.hugetlb_mark
        offset = (mark.page * self._size + mark.offset) // WORD_BYTES
        for number in (*only_theirs.tolist(), *only_ours.tolist()):
            va = self._engine.pages.base + (number << self._engine.pages.shift) + offset * WORD_BYTES
            words = (contents(scan, np.array([number]))[:, offset] for scan in (self._engine, self._kernel))
            self._add("mark", "one side has hugetlb's mark, where no huge page starts", (va,), *words)

    def _untouched(self, words: Words) -> Flags:
        """Return one flag for each struct page, shape (pages, struct pages): a freed tail, not used since."""
        layout = self._layout
        halves = np.ascontiguousarray(words).view(np.dtype(words.dtype.str.replace("8", "4")))
        untouched: Flags = halves[:, :, layout.page_type // _HALF] == layout.page_type_none
        untouched &= halves[:, :, layout.refcount // _HALF] == 0
        for offset in (layout.compound_head, layout.mapping, layout.private):
            untouched &= words[:, :, offset // WORD_BYTES] == 0
        untouched &= words[:, :, layout.lru_prev // WORD_BYTES] != np.uint64(POISON[1])
        return untouched

    def _add(self, kind: str, text: str, vas: Iterable[int], ours: Iterable[int], theirs: Iterable[int]) -> None:
        """Record one difference for each VA, with the words there."""

        def difference(place: tuple[int, int, int]) -> ReplayDifference:
            va, mine, other = place
            return ReplayDifference(f"struct-page.{kind}", text, va, f"{int(mine):#018x}", f"{int(other):#018x}")

        self.result.add_each(zip(vas, ours, theirs, strict=False), difference)


def held_pages(scan: Scan, numbers: Ints) -> Flags:
    """Return one flag for each vmemmap page, by its number: whether the core holds it."""
    return scan.snapshot.memory.held(scan.pages.frames_of(numbers))


def contents(scan: Scan, numbers: Ints) -> Words:
    """Return the words of vmemmap pages by their numbers, shape (pages, words of a page); zeros for absent pages."""
    memory = scan.snapshot.memory
    return memory.peek_words(scan.pages.frames_of(numbers), memory.pages.shape[1])


def _page(scan: Scan, frame: SupportsInt) -> Words | None:
    """Return the words of a frame, None if the core does not hold it."""
    memory, frame = scan.snapshot.memory, int(frame)
    return memory.frame(frame) if frame >= 0 and memory.holds(frame << memory.page_shift) else None
