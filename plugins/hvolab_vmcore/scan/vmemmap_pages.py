# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the vmemmap that a walk read, one row each, at any level of leaf."""

from __future__ import annotations

from dataclasses import dataclass

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
    depths = [depth for depth in (last - 1, last) if depth == last or pages]
    parts = [_columns(walk, depth, walk.origin - snapshot.vmemmap) for depth in depths]
    numbers, frames, raws, levels, tables = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(numbers, kind="stable")
    columns = numbers[order], frames[order], raws[order], levels[order].astype(np.int8), tables[order]
    return VmemmapPages(snapshot.vmemmap, walk.target.mode.page_shift, *columns)


def _columns(walk: Walk, depth: int, distance: int) -> tuple[Ints, Ints, Words, Ints, Ints]:
    """Return the columns for one level: the pages that its leaves map, and at the last level those not mapped, too.

    distance  from the struct page of PFN 0 to the walk's origin, in bytes
    """
    mode, tables = walk.target.mode, walk.levels[depth]
    rows, slots = np.nonzero(tables.inside if tables.level is mode.last else tables.leaf)
    raws, mapped = tables.raws[rows, slots], tables.leaf[rows, slots]
    count = 1 << (tables.level.shift - mode.page_shift)
    within = np.arange(count, dtype=np.int64)
    form = mode.format.form(tables.level.name, EntryKind.LEAF)
    pfns = (form.get_address(raws) >> np.uint64(mode.page_shift)).astype(np.int64)
    frames = np.where(mapped[:, None], pfns[:, None] + within, -1).ravel()
    first = (tables.offsets[rows] + (slots << tables.level.shift) + distance) >> mode.page_shift
    numbers = (first[:, None] + within).ravel()
    kept = numbers >= 0  # a leaf may start below the struct page of PFN 0
    depths = np.full(numbers.size, depth, dtype=np.int64)
    return numbers[kept], frames[kept], np.repeat(raws, count)[kept], depths[kept], np.repeat(rows, count)[kept]
