# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the vmemmap that a walk read, one row each, at any level of leaf."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind
from hvolab.errors import CoreFileError
from hvolab_vmcore.core.memory import Ints, Words
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import DAMAGED, Walk

#: Largest number of vmemmap pages: those of 8 TiB of memory in pages of 4 KiB.
_LARGEST = 1 << 25


@dataclass(frozen=True, eq=False)
class VmemmapPages:
    """Pages of vmemmap in order of VA; n rows.

    base     VA of page number 0: the struct page of PFN 0
    shift    log2 of the bytes of a page
    numbers  page number: distance of its VA from ``base``, in pages
    frames   PFN of the frame that it maps, -1 where an entry at the last level maps none
    raws     the entry that maps it
    depths   depth of that entry's level: 0 is the root's
    tables   index of that entry's table among those of its level
    """

    base: int
    shift: int
    numbers: Ints
    frames: Ints
    raws: Words
    depths: npt.NDArray[np.int8]
    tables: Ints

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
    within = np.arange(tables.level.entries, dtype=np.int64)
    numbers = first[order][:, None] + within
    raws = np.empty(numbers.shape, dtype=np.uint64)
    raws[leaves], raws[small] = above.raws[parents, slots][:, None], tables.raws
    frames = np.empty_like(numbers)
    frames[leaves] = _pfns(walk, last - 1, above.raws[parents, slots])[:, None] + within
    mapped = _pfns(walk, last, tables.raws)
    mapped[~tables.leaf] = -1
    frames[small] = mapped
    depths = np.full(numbers.shape, last, dtype=np.int8)
    depths[leaves] = last - 1
    index = np.empty_like(numbers)
    index[leaves], index[small] = parents[:, None], np.arange(tables.pas.size)[:, None]
    kept = numbers >= 0  # a leaf may start below the struct page of PFN 0
    kept[small] &= tables.inside
    some = ... if kept.all() else kept
    columns: Iterator[Any] = (column[some].ravel() for column in (numbers, frames, raws, depths, index))
    return VmemmapPages(vmemmap, mode.page_shift, *columns)


def _pfns(walk: Walk, depth: int, raws: Words) -> Ints:
    """Return the PFNs in leaves at that depth."""
    form = walk.target.mode.format.form(walk.levels[depth].level.name, EntryKind.LEAF)
    pfns: Words = form.get_address(raws)
    pfns >>= np.uint64(walk.target.mode.page_shift)
    return pfns.view(np.int64)
