# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the vmemmap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab_vmcore.scan.vmemmap_pages import pages_of
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


@pytest.mark.parametrize("kept", ["all", "some"])
def test_numbers_of_single_rows_are_those_of_all(kept: str) -> None:
    core = scanned(OPTIMIZED_1G)
    pages = pages_of(core.snapshot, core.walk)
    if kept == "some":  # as where the walk's range ends in a table
        flags = np.ones((pages.frames.size // 512, 512), dtype=np.bool_)
        flags[-1, 7:] = False
        pages = replace(pages, _blocks=replace(pages._blocks, kept=flags))
    rows = np.arange(0, pages.frames.size - 512, 5)
    alone, aligned = pages.numbers_at(rows), pages.aligned(8)
    assert ("numbers" in pages.__dict__) == (kept == "some")
    assert np.array_equal(alone, pages.numbers[rows])
    assert np.array_equal(aligned, np.flatnonzero(pages.numbers % 8 == 0))
    assert np.array_equal(pages.aligned(4096), np.flatnonzero(pages.numbers % 4096 == 0))
