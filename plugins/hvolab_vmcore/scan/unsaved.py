# SPDX-License-Identifier: GPL-2.0-only
"""Parts of the vmemmap that a dump did not save, and the huge pages whose state depends on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.arithmetic import div_round_up
from hvolab.machine import FrameState
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import AbsentTable, Walk
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages


@dataclass(frozen=True)
class Unsaved:
    """Parts of the vmemmap that were not saved.

    tables  page tables
    frames  number of frames that the vmemmap maps
    blocks  largest number of huge pages of each order whose state cannot be determined
    bits    number of optimized huge pages whose head was not saved, so that its flag is unknown
    """

    tables: tuple[AbsentTable, ...]
    frames: int
    blocks: dict[int, int]
    bits: int

    @property
    def decisive(self) -> bool:
        """The state of a huge page, or a flag, depends on what was not saved."""
        return bool(self.tables or self.bits or any(self.blocks.values()))


def find_unsaved(
    snapshot: CoreSnapshot, walk: Walk, pages: VmemmapPages, huge_pages: tuple[HugePages, ...], frames: int
) -> Unsaved:
    """Return the parts that were not saved.

    frames  number of frames behind the vmemmap that were not saved

    A huge page whose tails share a frame is found without its head; of others the head decides. So each aligned block
    counts whose head was not saved and which is not a huge page, and each that has vmemmap below a table that was not
    saved, or is where the core describes no memory.
    """
    tables = tuple(one for one in walk.absent if one.state is FrameState.NOT_SAVED)
    blocks = {}
    taken = np.zeros(pages.numbers.size, dtype=np.bool_)
    for huge in huge_pages:
        known = huge.with_sharing(Sharing.HEAD, Sharing.TAIL, Sharing.DAX, Sharing.SECOND) | huge.heads.there
        rows = huge.rows[known]
        taken[(rows[:, None] + np.arange(huge.pages)).ravel()] = True
    for huge in huge_pages:
        heads = np.flatnonzero((pages.numbers & huge.pages - 1 == 0) & ~taken)
        heads = heads[snapshot.memory.states(pages.frames[heads]) == FrameState.NOT_SAVED]
        below = _numbers_below(snapshot, walk.absent, pages, huge.pages)
        blocks[huge.order] = int(np.union1d(pages.numbers[heads] // huge.pages, below).size)
    bits = sum(int((huge.optimized & huge.heads.not_saved).sum()) for huge in huge_pages)
    return Unsaved(tables, frames, blocks, bits)


def _numbers_below(snapshot: CoreSnapshot, tables: tuple[AbsentTable, ...], pages: VmemmapPages, count: int) -> Ints:
    """Return the numbers of aligned blocks of ``count`` vmemmap pages that tables would map, up to the last PFN."""
    size, last = snapshot.struct_pages.layout.size, max(end for _, end in snapshot.core.ranges)
    end = min(snapshot.region[1], snapshot.vmemmap + (last >> pages.shift) * size)
    start, found = snapshot.region[0], [np.empty(0, dtype=np.int64)]
    for table in tables:
        low, high = max(start, table.va), min(end, table.va + table.level.size)
        if high > low:
            unit = count << pages.shift
            found.append(np.arange((low - pages.base) // unit, div_round_up(high - pages.base, unit), dtype=np.int64))
    return np.unique(np.concatenate(found))
