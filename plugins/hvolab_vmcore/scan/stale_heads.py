# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages with the mark of a hugetlb folio at places where no such folio can start: copies of a head."""

from __future__ import annotations

import numpy as np

from hvolab_vmcore.core.memory import Flags, Ints
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.scan.huge_pages import read_heads
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages


def stale_heads(snapshot: CoreSnapshot, pages: VmemmapPages, optimized: Flags) -> Ints:
    """Return the rows of vmemmap pages that begin with such a copy, outside of optimized huge pages.

    optimized  flags of the vmemmap pages of optimized huge pages

    HVO splits a leaf above the last level before it remaps a page, and never merges it again, so that only pages which
    are mapped at the last level are read.
    A folio of order n starts at a multiple of 2 ** n frames, and its head has PG_head. Copies of a head's page that a
    restore left have the mark at the first struct page of each page of vmemmap.
    """
    candidates = np.flatnonzero((pages.depths == len(snapshot.target.mode.levels) - 1) & ~optimized)
    heads = read_heads(snapshot, pages.frames[candidates])
    layout, shift = snapshot.struct_pages.layout, snapshot.target.mode.page_shift
    pfns = (pages.numbers[candidates] << shift) // layout.size
    orders = np.minimum(heads.orders, np.iinfo(np.int64).bits - 2)
    starts = heads.head & (orders > 0) & (pfns & ((np.int64(1) << orders) - 1) == 0)
    found: Ints = candidates[heads.marked & ~starts]
    return found
