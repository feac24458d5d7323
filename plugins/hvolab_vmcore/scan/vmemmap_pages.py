# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the vmemmap that a walk read, one row each, at any level of leaf."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind
from hvolab.arrays import chunks
from hvolab.errors import CoreFileError
from hvolab_vmcore.core.memory import Flags, Ints, Words
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import AT_ONCE, DAMAGED, Walk

#: Largest number of vmemmap pages: those of 8 TiB of memory in pages of 4 KiB.
_LARGEST = 1 << 25


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Blocks of the vmemmap in order of VA, each of as many pages as one entry above the last level maps.

    walk            the walk that read them
    first           number of the first page of each
    leaves, small   places of the blocks that a leaf maps, and of the last tables
    parents, slots  table and index of each leaf
    kept            flags of the pages that are in the vmemmap, shape (blocks, pages of each); None: all are
    """

    walk: Walk
    first: Ints
    leaves: Ints
    small: Ints
    parents: Ints
    slots: Ints
    kept: Flags | None

    @property
    def within(self) -> Ints:
        """Distances of the pages of a block from its first."""
        return np.arange(self.walk.levels[-1].level.entries, dtype=np.int64)

    def of_kept(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values of the pages that are kept, of one for each page of each block."""
        return values.ravel() if self.kept is None else values[self.kept]

    def pages(self, of_leaves: npt.ArrayLike, of_tables: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a value for each page that is kept, from one for each block, or one for each of its pages."""
        found = np.empty((self.first.size, self.within.size), dtype=dtype)
        found[self.leaves], found[self.small] = of_leaves, of_tables
        return self.of_kept(found)


@dataclass(frozen=True, eq=False)
class VmemmapPages:
    """Pages of vmemmap in order of VA; n rows.

    base    VA of page number 0: the struct page of PFN 0
    shift   log2 of the bytes of a page
    frames  PFN of the frame that each page maps, -1 where an entry at the last level maps none
    """

    base: int
    shift: int
    frames: Ints
    _blocks: _Blocks

    @cached_property
    def numbers(self) -> Ints:
        """Page numbers: distance of each page's VA from ``base``, in pages."""
        return self._blocks.of_kept(self._blocks.first[:, None] + self._blocks.within)

    @cached_property
    def raws(self) -> Words:
        """The entry that maps each page."""
        above, tables = self._blocks.walk.levels[-2:]
        leaves = above.raws[self._blocks.parents, self._blocks.slots]
        return self._blocks.pages(leaves[:, None], tables.raws, np.uint64)

    @cached_property
    def depths(self) -> npt.NDArray[np.int8]:
        """Depth of that entry's level: 0 is the root's."""
        last = len(self._blocks.walk.levels) - 1
        return self._blocks.pages(last - 1, last, np.int8)

    @cached_property
    def tables(self) -> Ints:
        """Index of that entry's table among those of its level."""
        count = self._blocks.walk.levels[-1].pas.size
        return self._blocks.pages(self._blocks.parents[:, None], np.arange(count)[:, None], np.int64)

    def numbers_at(self, rows: Ints) -> Ints:
        """Return the page numbers of some rows."""
        blocks, bits = self._blocks, self._blocks.walk.levels[-1].level.bits
        if blocks.kept is not None or "numbers" in self.__dict__:
            return self.numbers[rows]
        found: Ints = blocks.first[rows >> bits] + (rows & (1 << bits) - 1)
        return found

    def aligned(self, count: int) -> Ints:
        """Return the rows whose page numbers are multiples of ``count``, a power of two."""
        blocks = self._blocks
        if blocks.kept is None and count <= blocks.within.size and not (blocks.first & count - 1).any():
            return np.arange(0, self.frames.size, count, dtype=np.int64)
        found: Ints = np.flatnonzero(self.numbers & count - 1 == 0)
        return found

    def va(self, row: int) -> int:
        """Return the VA of the page in a row."""
        return self.base + (int(self.numbers[row]) << self.shift)

    def frames_of(self, numbers: Ints) -> Ints:
        """Return the frames that the pages of these numbers map, -1 for pages that are not mapped or were not read."""
        if not self.numbers.size:
            return np.full(numbers.shape, -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.numbers, numbers), self.numbers.size - 1)
        return np.where(self.numbers[rows] == numbers, self.frames[rows], -1)


def pages_of(snapshot: CoreSnapshot, walk: Walk) -> VmemmapPages:
    """Return the pages that leaves map at the last level and the one above it, the two that Linux uses.

    Raises CoreFileError for more pages than a machine of 8 TiB has.
    """
    last = len(walk.levels) - 1
    above = walk.levels[last - 1]
    if (pages := int(above.leaf.sum()) << (above.level.shift - walk.target.mode.page_shift)) > _LARGEST:
        raise CoreFileError(
            f"the vmemmap has more than {_LARGEST} pages: {pages}",
            where=f"leaves at level {above.level.name}",
            rule="hvolab reads the vmemmap of up to 8 TiB of memory",
            hint=DAMAGED,
        )
    return _joined(snapshot.vmemmap, walk)


def _joined(vmemmap: int, walk: Walk) -> VmemmapPages:
    """Return the pages, from blocks of as many as one entry above the last level maps: its leaves, and last tables.

    Pages of a table that an entry does not map have their row as well.
    """
    mode, last = walk.target.mode, len(walk.levels) - 1
    above, tables = walk.levels[last - 1], walk.levels[last]
    parents, slots = np.nonzero(above.leaf)
    distance = walk.origin - vmemmap  # from the struct page of PFN 0
    starts = np.concatenate((above.offsets[parents] + (slots << above.level.shift), tables.offsets))
    first = starts + distance >> mode.page_shift
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    leaves, small = place[: parents.size], place[parents.size :]
    blocks = _Blocks(walk, first[order], leaves, small, parents, slots, None)
    if first.min(initial=0) < 0 or not tables.inside.all():  # a leaf may start below the struct page of PFN 0
        kept = blocks.first[:, None] + blocks.within >= 0
        kept[small] &= tables.inside
        blocks = replace(blocks, kept=kept)
    frames = np.empty((first.size, tables.level.entries), dtype=np.int64)
    mapped = _pfns(walk, last - 1, above.raws[parents, slots])[:, None]
    for some in chunks(leaves.size, AT_ONCE):
        frames[leaves[some]] = mapped[some] + blocks.within
    for some in chunks(small.size, AT_ONCE):
        mapped = _pfns(walk, last, tables.raws[some])
        mapped[~tables.leaf[some]] = -1
        frames[small[some]] = mapped
    return VmemmapPages(vmemmap, mode.page_shift, blocks.of_kept(frames), blocks)


def _pfns(walk: Walk, depth: int, raws: Words) -> Ints:
    """Return the PFNs in leaves at that depth."""
    form = walk.target.mode.format.form(walk.levels[depth].level.name, EntryKind.LEAF)
    pfns: Words = form.get_address(raws)
    pfns >>= np.uint64(walk.target.mode.page_shift)
    return pfns.view(np.int64)
