# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the vmemmap."""

from __future__ import annotations

import numpy as np

from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    scanned,
    va_of,
)


def test_every_page_of_the_vmemmap_has_the_same_frame_in_scan_and_tables() -> None:
    found = scanned(OPTIMIZED_1G)
    frames = found.snapshot.tables.frames(va_of(0), found.pages.numbers.size)
    assert np.array_equal(found.pages.frames, frames)


def test_pages_that_a_large_leaf_maps_have_its_entry() -> None:
    pages = scanned(BOOT).pages
    first = (va_of(GIGANTIC) - pages.base) >> pages.shift
    (rows,) = np.nonzero((pages.numbers >= first) & (pages.numbers < first + 512))
    assert rows.size == 512
    assert np.unique(pages.raws[rows]).size == 1
    assert (np.diff(pages.frames[rows]) == 1).all()


def test_a_page_that_was_not_read_has_no_frame() -> None:
    pages = scanned(OPTIMIZED_2M).pages
    number = (va_of(FIRST_FOLIO) - pages.base) >> pages.shift
    assert pages.frames_of(np.array([number, number + 1, int(pages.numbers[-1]) + 1])).tolist() == [0x54E4, 0x54E4, -1]
    assert pages.va(int(np.searchsorted(pages.numbers, number))) == va_of(FIRST_FOLIO)
