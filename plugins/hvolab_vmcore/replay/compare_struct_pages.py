"""The struct pages of huge pages, the engine's against a kernel's, as far as two cores can tell.

Between the cores a kernel has done more than HVO: folios were taken from free memory, put in a pool, freed again. What
that touches is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.machine import PhysicalMemory
from hvolab.machine.struct_pages.lists import POISON
from hvolab_vmcore.replay.differences import ReplayComparison, ReplayDifference
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.scan import Scan

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_WORD, _HALF = 8, 4


class StructPageComparison:
    """Compares the struct pages that two scans show.

    engine, kernel  the scans
    restored        PFN and order of the folios that were restored
    made_up         those whose head page stands in for one that the core before does not hold
    """

    def __init__(
        self,
        engine: Scan,
        kernel: Scan,
        restored: tuple[tuple[int, int], ...],
        made_up: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self._engine = engine
        self._kernel = kernel
        self._restored = tuple(folio for folio in restored if folio not in made_up)
        self._layout = engine.snapshot.struct_pages.layout
        self._size = self._layout.size
        self._per_page = engine.snapshot.target.mode.page_size // self._size
        self.result = ReplayComparison()
        self._absent_heads = self._absent_tails = self._absent_restored = self._in_use = self._freed_heads = 0

    def compare(self) -> ReplayComparison:
        """Compare all huge pages."""
        theirs = {huge.order: huge for huge in self._kernel.huge_pages}
        for ours in self._engine.huge_pages:
            self._compare_optimized(ours, theirs[ours.order])
            self._compare_bits(theirs[ours.order])
        for pfn, order in self._restored:
            self._compare_restored(pfn, order)
        for what, count, why in (
            ("struct pages of optimized huge pages", self._absent_heads, "the head's frame is not in the core after"),
            ("struct pages of optimized huge pages", self._absent_tails, "the tail's frame is not in the core after"),
            ("struct pages of restored huge pages", self._absent_restored, "their frames are not in the core after"),
            ("struct pages of restored huge pages", self._in_use, "they were used or put on a free list since"),
            (
                "struct pages in the head's frame of restored huge pages",
                self._freed_heads,
                "HVO does not change that frame in a restore, and freeing the huge page does",
            ),
        ):
            self.result.leave_out(what, count, why)
        return self.result

    def _compare_optimized(self, ours: HugePages, theirs: HugePages) -> None:
        """Those that both sides have optimized."""
        mine, other = np.flatnonzero(ours.optimized), np.flatnonzero(theirs.optimized)
        _, left, right = np.intersect1d(ours.pfns[mine], theirs.pfns[other], assume_unique=True, return_indices=True)
        for index, kernel_index in zip(mine[left].tolist(), other[right].tolist(), strict=True):
            row = int(ours.rows[index])
            kernel_row = int(theirs.rows[kernel_index])
            va, pages = self._engine.pages.va(row), ours.pages
            engine_head = self._page(self._engine, int(self._engine.pages.frames[row]))
            kernel_head = self._page(self._kernel, int(self._kernel.pages.frames[kernel_row]))
            if engine_head is None or kernel_head is None:
                self._absent_heads += pages * self._per_page
                continue
            self._compare_head(va, engine_head, kernel_head)
            self.result.compared += self._per_page
            self._compare_aliases(va, self._kernel.pages.frames[kernel_row : kernel_row + pages], kernel_head)

    def _compare_head(self, va: int, ours: npt.NDArray[np.uint64], theirs: npt.NDArray[np.uint64]) -> None:
        """The head's own page: whether it is a head and optimized, its order, and whose tails the others are."""
        layout = self._layout
        for name, offset, mask in (
            ("PG_head", layout.flags, 1 << layout.pg_head),
            ("HPG_vmemmap_optimized", layout.private, 1 << layout.hpg_vmemmap_optimized),
            ("folio order", layout.folio_order, 0xFF << layout.folio_order % _WORD * 8),
        ):
            mine, other = int(ours[offset // _WORD]), int(theirs[offset // _WORD])
            if (mine ^ other) & mask:
                self._add("head", f"{name} differs", va + offset, mine, other)
        step = self._size // _WORD
        heads = slice(layout.compound_head // _WORD + step, None, step)
        for index in np.flatnonzero(ours[heads] != theirs[heads]).tolist():
            where = va + (index + 1) * self._size + layout.compound_head
            self._add("tail", "compound_head differs", where, int(ours[heads][index]), int(theirs[heads][index]))

    def _compare_aliases(self, va: int, frames: Ints, head: npt.NDArray[np.uint64]) -> None:
        """Every tail page of the kernel's reads as the head's page, as the engine's do."""
        shift = self._engine.pages.shift
        for frame in np.unique(frames[1:]).tolist():
            places = np.flatnonzero(frames[1:] == frame) + 1
            page = self._page(self._kernel, frame)
            if page is None:
                self._absent_tails += places.size * self._per_page
                continue
            self.result.compared += places.size * self._per_page
            wrong = np.flatnonzero(page != head)
            for place in places.tolist() if wrong.size else ():
                first = int(wrong[0])
                where = va + (place << shift) + first * _WORD
                text = "a tail page does not read as the head's page"
                self._add("alias", text, where, int(head[first]), int(page[first]))

    def _compare_bits(self, theirs: HugePages) -> None:
        """Folios of the kernel's that are not optimized and say that they are."""
        offset = self._layout.private
        for index in np.flatnonzero(theirs.with_sharing(Sharing.NONE) & theirs.heads.optimized).tolist():
            row = int(theirs.rows[index])
            va = self._kernel.pages.va(row)
            kernel_page = self._page(self._kernel, int(self._kernel.pages.frames[row]))
            frames = self._engine.pages.frames_of(self._kernel.pages.numbers[row : row + 1])
            engine_page = self._page(self._engine, int(frames[0]))
            if engine_page is None or kernel_page is None:
                continue
            mine, other = int(engine_page[offset // _WORD]), int(kernel_page[offset // _WORD])
            if (mine ^ other) & 1 << self._layout.hpg_vmemmap_optimized:
                self._add("head", "HPG_vmemmap_optimized differs", va + offset, mine, other)

    def _compare_restored(self, pfn: int, order: int) -> None:
        """The tail pages of a folio that was restored: every word that freeing does not touch."""
        layout, shift = self._layout, self._engine.pages.shift
        count = self._size << order >> shift
        self._freed_heads += self._per_page
        numbers = (pfn * self._size >> shift) + np.arange(1, count, dtype=np.int64)
        ours, theirs = (scan.pages.frames_of(numbers) for scan in (self._engine, self._kernel))
        there = _held(self._engine, ours) & _held(self._kernel, theirs)
        self._absent_restored += int((~there).sum()) * self._per_page
        numbers, ours, theirs = numbers[there], ours[there], theirs[there]
        if not numbers.size:
            return
        engine_words, kernel_words = (
            _pages(scan.snapshot.memory, frames).reshape(frames.size, self._per_page, -1)
            for scan, frames in ((self._engine, ours), (self._kernel, theirs))
        )
        untouched = self._untouched(kernel_words)
        self._in_use += int((~untouched).sum())
        self.result.compared += int(untouched.sum())
        differ = engine_words != kernel_words
        for offset in (layout.compound_head, layout.mapping):
            differ[:, :, offset // _WORD] = False  # freeing clears them
        for page, slot, word in np.argwhere(differ & untouched[:, :, None]).tolist():
            va = self._engine.pages.base + (int(numbers[page]) << shift) + slot * self._size + word * _WORD
            mine, other = int(engine_words[page, slot, word]), int(kernel_words[page, slot, word])
            self._add("restored", f"the word at byte {word * _WORD} differs after the restore", va, mine, other)

    def _untouched(self, words: npt.NDArray[np.uint64]) -> Flags:
        """Which struct pages, shape (pages, struct pages), look as freeing leaves a tail, and as nothing since did."""
        layout = self._layout
        halves = np.ascontiguousarray(words).view(np.dtype(words.dtype.str.replace("8", "4")))
        quiet = halves[:, :, layout.page_type // _HALF] == layout.page_type_none
        quiet &= halves[:, :, layout.refcount // _HALF] == 0
        for offset in (layout.compound_head, layout.mapping, layout.private):
            quiet &= words[:, :, offset // _WORD] == 0
        result: Flags = quiet & (words[:, :, layout.lru_prev // _WORD] != np.uint64(POISON[1]))
        return result

    def _page(self, scan: Scan, frame: int) -> npt.NDArray[np.uint64] | None:
        """The words of a frame, if the scan's memory has it."""
        memory = scan.snapshot.memory
        return memory.frame(frame) if frame >= 0 and memory.holds(frame << memory.page_shift) else None

    def _add(self, kind: str, text: str, va: int, ours: int, theirs: int) -> None:
        self.result.add(ReplayDifference(f"struct-page.{kind}", text, va, f"{ours:#018x}", f"{theirs:#018x}"))


def contents(scan: Scan, numbers: Ints) -> npt.NDArray[np.uint64]:
    """The words of vmemmap pages by their numbers, shape (pages, words of a page); zeros where they are not there."""
    frames = scan.pages.frames_of(numbers)
    held = _held(scan, frames)
    words = np.zeros((numbers.size, scan.snapshot.target.mode.page_size // _WORD), dtype=np.uint64)
    words[held] = _pages(scan.snapshot.memory, frames[held])
    return words


def _held(scan: Scan, frames: Ints) -> Flags:
    """Which frames the scan's memory has."""
    memory = scan.snapshot.memory
    index = frames - memory.first_pfn
    held = (frames >= 0) & (index >= 0) & (index < memory.frames)
    if memory.present is not None:
        held[held] = memory.present[index[held]]
    return held


def _pages(memory: PhysicalMemory, frames: Ints) -> npt.NDArray[np.uint64]:
    """The words of frames that are there, shape (frames, words of a page); a copy."""
    return memory.pages[frames - memory.first_pfn]
