"""Frames that two owners have: two folios' vmemmap, two pages of vmemmap, or a page table as well."""

from __future__ import annotations

import numpy as np

from hvolab_vmcore.core.walk import Walk
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages


def shared_frames(walk: Walk, pages: VmemmapPages, huge_pages: tuple[HugePages, ...]) -> list[tuple[int, str]]:
    """Rows of vmemmap pages whose frame somebody else owns, each with who that is, in order of frame and VA.

    A page of vmemmap owns the frame that it maps, and so does a page table. The pages of a huge page that share its
    frame are one owner; where since v7 the huge pages of an order share one frame for their tails, all those are.
    """
    owners = np.arange(pages.numbers.size, dtype=np.int64)
    for huge in huge_pages:
        sharing = np.flatnonzero(~huge.with_sharing(Sharing.NONE))
        rows = huge.rows[sharing][:, None] + np.arange(huge.pages)
        tail = huge.with_sharing(Sharing.TAIL)[sharing]
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
    return [(int(rows[index]), _whose(pages, int(rows[first[index]]))) for index in wrong.tolist()]


def _whose(pages: VmemmapPages, row: int) -> str:
    """Who the owner is whose first row that is; -1 is a page table."""
    return "a page table" if row < 0 else f"mapped at VA {pages.va(row):#x}"
