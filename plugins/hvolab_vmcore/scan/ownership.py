# SPDX-License-Identifier: GPL-2.0-only
"""Ownership of frames by vmemmap pages and page tables."""

from __future__ import annotations

import numpy as np

from hvolab_vmcore.core.walk import Walk
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages


def shared_frames(walk: Walk, pages: VmemmapPages, huge_pages: tuple[HugePages, ...]) -> list[tuple[int, str]]:
    """Return the rows of vmemmap pages whose frame has another owner, with that owner, in order of frame and VA.

    A vmemmap page owns the frame that it maps, and a page table the frame that it occupies. The pages of a huge page
    that share its frame are one owner. Since v7 all huge pages of one order may share a frame for their tails: then
    all of them are one owner.
    """
    owners = np.arange(pages.numbers.size, dtype=np.int64)
    for huge in huge_pages:
        sharing = np.flatnonzero(~huge.with_sharing(Sharing.NONE))
        rows = huge.rows[sharing][:, None] + np.arange(huge.pages)
        tail = huge.with_sharing(Sharing.TAIL, Sharing.UNKNOWN)[sharing]
        one = np.where(tail, -1 - huge.order, huge.rows[sharing])  # negative: all of the order together
        share = pages.frames[rows] == huge.shared[sharing][:, None]
        owners[rows[share]] = np.broadcast_to(one[:, None], rows.shape)[share]
    mapped = np.flatnonzero(pages.frames >= 0)
    shift = walk.target.mode.page_shift
    tables = np.concatenate([np.unique(level.pas >> shift) for level in walk.levels])
    rows = np.concatenate((np.full(tables.size, -1, dtype=np.int64), mapped))
    frames = np.concatenate((tables, pages.frames[mapped]))
    owner = np.concatenate((np.full(tables.size, np.iinfo(np.int64).min), owners[mapped]))
    order = np.lexsort((rows, frames))
    rows, frames, owner = rows[order], frames[order], owner[order]
    starts = np.concatenate(([True], frames[1:] != frames[:-1]))
    first = np.maximum.accumulate(np.where(starts, np.arange(frames.size), 0))
    wrong = np.flatnonzero((owner != owner[first]) & (rows >= 0))
    return [(int(rows[index]), _owner(pages, int(rows[first[index]]))) for index in wrong.tolist()]


def _owner(pages: VmemmapPages, row: int) -> str:
    """Describe the owner with that first row; -1 is a page table."""
    return "a page table" if row < 0 else f"mapped at VA {pages.va(row):#x}"
