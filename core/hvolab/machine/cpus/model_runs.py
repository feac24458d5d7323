# SPDX-License-Identifier: GPL-2.0-only
"""Translations and copies of many VAs at once, for the modeled CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from hvolab.arch import Access
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.arrays import equal_runs
from hvolab.errors import UsageError
from hvolab.machine.cpus.permissions import WalkPermissions
from hvolab.machine.memory.physical import PhysicalMemory
from hvolab.machine.memory.tables import PageTables

Vas = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

#: Pages copied at once where they are scattered: as much as a cache of the host holds.
_COPIED_AT_ONCE = 32
#: Links of a chain that are guessed at once.
_GUESSED_LINKS = 512
#: Runs of at most so many VAs are faster one by one, and by indices.
_FEW = 8
_READ = int(Access.READ)


def unaligned(va: int, unit: int) -> UsageError:
    """Return the error for a word or page whose VA is not a multiple of its size."""
    return UsageError(
        f"VA {va:#x} is not aligned to {unit:#x} bytes",
        rule="a modeled CPU accesses whole words and pages",
        hint="load and store other ranges as bytes",
    )


class ModelRuns:
    """Accesses of a modeled CPU to runs of VAs: they walk the tables, and leave the TLB unchanged.

    A CPU is free to walk although it has a translation cached, so what is stale in the TLB does not matter here.
    """

    def __init__(
        self,
        memory: PhysicalMemory,
        tables: PageTables,
        permissions: WalkPermissions,
        translate: Callable[[int, int], int],
    ) -> None:
        self._memory = memory
        self._tables = tables
        self._permissions = permissions
        self._translate = translate
        mode = tables.target.mode
        self._last = mode.last
        self._last_depth = len(mode.levels) - 1
        self._levels = mode.levels
        self._unit_shift = np.uint64(mode.levels[-2].shift)
        self._page_form = tables.target.page_form
        self._leaf_forms = [mode.format.leaf_form(level.name) for level in mode.levels]

    def offsets(self, vas: Vas, need: int, unit: int = WORD_BYTES) -> Offsets:
        """Return the offsets in memory of ``vas`` for accesses that need ``need``; raises PageFault at the first.

        Raises UsageError if one is not a multiple of ``unit``.
        """
        if vas.size and int(np.bitwise_or.reduce(vas)) % unit:
            raise unaligned(next(va for va in vas.tolist() if va % unit), unit)
        found = None if vas.size <= _FEW else self.settled_offsets(vas, need)
        if found is None:
            memory = self._memory
            return np.array([memory.offset(self._translate(va, need)) for va in vas.tolist()], dtype=np.int64)
        return found

    def settled_offsets(self, vas: Vas, need: int) -> Offsets | None:
        """Return the same without any side effect; None if an access would fault, or would set a flag of an entry."""
        memory = self._memory
        if memory.present is not None:
            return None
        starts, stops = equal_runs(vas >> self._unit_shift)  # one entry above the last level covers each run
        bases, leaves, walks = [], 0, list[tuple[int, ...]]()
        leaf = size = base = 0
        for first in vas[starts].tolist():
            if not first ^ leaf < size:  # not below the leaf of the run before
                entries = list[int]()
                depth, index, raw = self._tables.descend(first, entries)
                if depth == self._last_depth:
                    bases.append(index - self._last.index(first))
                    walks.append(tuple(entries))
                    continue
                form = self._leaf_forms[depth]
                if form is None or not self._allowed(depth, [raw], [tuple(entries)], need):
                    return None
                size = self._levels[depth].size
                leaf = first & -size
                base = (form.get_address(raw) - memory.base - leaf) % (1 << 64)
            leaves += 1
            bases.append(base)
        if not bases:
            return np.empty(0, dtype=np.int64)
        if not leaves:
            offsets = self._page_offsets(vas, np.repeat(np.array(bases, dtype=np.int64), stops - starts), walks, need)
        elif leaves == len(bases):
            offsets = (vas + np.repeat(np.array(bases, dtype=np.uint64), stops - starts)).view(np.int64)
        else:
            parts = (self.settled_offsets(vas[start:stop], need) for start, stop in zip(starts, stops, strict=True))
            found = [part for part in parts if part is not None]
            offsets = np.concatenate(found) if len(found) == len(bases) else None
        if offsets is None or offsets.min() < 0 or offsets.max() >= memory.size:
            return None
        return offsets

    def _page_offsets(self, vas: Vas, tables: Offsets, walks: list[tuple[int, ...]], need: int) -> Offsets | None:
        """Return the offsets of VAs mapped at the last level.

        tables  for each VA: word in memory of the first entry of its table
        walks   table entries on the way to each of the tables
        """
        places = ((vas >> np.uint64(self._last.shift)) & np.uint64(self._last.entries - 1)).view(np.int64)
        raws = self._memory.entries[places + tables]
        deciding = raws & np.uint64(self._permissions.deciding[self._last_depth])
        alike = deciding[:1] if (deciding == deciding[0]).all() else deciding
        if not self._allowed(self._last_depth, set(alike.tolist()), walks, need):
            return None
        pas: Vas = self._page_form.get_address(raws)
        return (pas | (vas & np.uint64(self._last.size - 1))).view(np.int64) - self._memory.base

    def _allowed(self, depth: int, raws: Iterable[int], walks: list[tuple[int, ...]], need: int) -> bool:
        """Return whether each of ``raws`` is a plain leaf, with its flags set, and allows ``need`` below ``walks``."""
        for entries in walks:
            for raw in raws:
                permission = self._permissions.of(depth, raw, entries)
                if permission.allowed & need != need or not permission.settled:
                    return False
                if permission.form is not self._leaf_forms[depth]:
                    return False
        return True

    def evenly_linked(self, link: int, step: int, end: int) -> Words:
        """Return the links of a chain that follow ``link`` at ``step`` each, up to ``end``: a few hundred at most."""
        chain = np.uint64(link) + np.arange(_GUESSED_LINKS + 1, dtype=np.uint64) * np.uint64(step % (1 << 64))
        offsets = self.settled_offsets(chain[:-1], _READ)
        if offsets is None:
            return chain[:0]
        follows = (self._memory.words[offsets >> WORD_SHIFT] == chain[1:]) & (chain[1:] != np.uint64(end))
        return chain[1 : 1 + (_GUESSED_LINKS if follows.all() else int(follows.argmin()))]

    def copy_pages(self, to: Offsets, source: Offsets) -> None:
        """Copy one page for each pair of offsets."""
        pages, shift = self._memory.pages, self._memory.page_shift
        if self._copy_evenly(to, source, pages.shape[1]):
            return
        rows, sources = to >> shift, source >> shift
        for first in range(0, rows.size, _COPIED_AT_ONCE):
            part = slice(first, first + _COPIED_AT_ONCE)
            pages[rows[part]] = pages[sources[part]]

    def copy_runs(self, to: Offsets, source: Offsets, size: int) -> None:
        """Copy ``size`` bytes, whole words, for each pair of offsets."""
        count = size // WORD_BYTES
        if not self._copy_evenly(to, source, count):
            words, inside = self._memory.words, np.arange(count)
            words[(to >> WORD_SHIFT)[:, None] + inside] = words[(source >> WORD_SHIFT)[:, None] + inside]

    def read_rows(self, slots: Offsets, count: int) -> Words:
        """Return ``count`` page-table entries from each offset on, shape (offsets, count)."""
        rows: Words = self._memory.entries[(slots >> WORD_SHIFT)[:, None] + np.arange(count)]
        return rows

    def write_rows(self, slots: Offsets, rows: Words) -> None:
        """Store one row of page-table entries at each offset."""
        view = self._evenly_spaced(slots, rows.shape[1], self._memory.entries)
        if view is None:
            self._memory.entries[(slots >> WORD_SHIFT)[:, None] + np.arange(rows.shape[1])] = rows
        else:
            view[:] = rows

    def _copy_evenly(self, to: Offsets, source: Offsets, count: int) -> bool:
        """Copy ``count`` words for each pair of offsets in one pass; False, with nothing done, for scattered ones."""
        words = self._memory.words
        target, origin = self._evenly_spaced(to, count, words), self._evenly_spaced(source, count, words)
        if target is None or origin is None:
            return False
        target[:] = origin
        return True

    @staticmethod
    def _evenly_spaced(offsets: Offsets, count: int, words: Words) -> Words | None:
        """Return ``count`` words from each offset on, not copied, shape (offsets, count); None for scattered ones."""
        if offsets.size <= _FEW:
            return None
        step = int(offsets[1] - offsets[0])
        if (offsets[1:] - offsets[:-1] != step).any():
            return None
        first = words[int(offsets[0]) >> WORD_SHIFT :]
        return as_strided(first, (offsets.size, count), (step, WORD_BYTES))
