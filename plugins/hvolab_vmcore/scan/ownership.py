# SPDX-License-Identifier: GPL-2.0-only
"""Ownership of frames by vmemmap pages and page tables."""

from __future__ import annotations

import numpy as np

from hvolab.arrays import runs
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
    shift = walk.target.mode.page_shift
    tables = np.concatenate([np.unique(level.pas >> shift) for level in walk.levels])
    starts, stops = runs((pages.frames[1:] != pages.frames[:-1]) | (owners[1:] != owners[:-1]), owners.size)
    mapped = pages.frames[starts] >= 0
    starts, stops = starts[mapped], stops[mapped]
    frames = np.concatenate((tables, pages.frames[starts]))
    ordered = np.sort(frames)
    if not (ordered[1:] == ordered[:-1]).any():
        return []
    rows = np.concatenate((np.full(tables.size, -1, dtype=np.int64), starts))
    ends = np.concatenate((np.zeros(tables.size, dtype=np.int64), stops))
    owner = np.concatenate((np.full(tables.size, np.iinfo(np.int64).min), owners[starts]))
    order = np.lexsort((rows, frames))
    rows, ends, frames, owner = rows[order], ends[order], frames[order], owner[order]
    begins = np.concatenate(([True], frames[1:] != frames[:-1]))
    first = np.maximum.accumulate(np.where(begins, np.arange(frames.size), 0))
    wrong = np.flatnonzero((owner != owner[first]) & (rows >= 0))
    return [
        (row, _owner(pages, int(rows[first[index]])))
        for index in wrong.tolist()
        for row in range(int(rows[index]), int(ends[index]))
    ]


def _owner(pages: VmemmapPages, row: int) -> str:
    """Describe the owner with that first row; -1 is a page table."""
    return "a page table" if row < 0 else f"mapped at VA {pages.va(row):#x}"
