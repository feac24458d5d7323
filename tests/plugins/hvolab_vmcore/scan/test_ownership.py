# SPDX-License-Identifier: GPL-2.0-only
"""Frames that have two owners."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.scan.ownership import shared_frames
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    findings_of,
    scanned,
    slot_of,
    va_of,
)


def test_pages_of_an_optimized_folio_are_one_owner() -> None:
    found = scanned(OPTIMIZED_1G)
    assert shared_frames(found.walk, found.pages, found.huge_pages) == []


def test_without_huge_pages_every_page_after_the_first_one_of_a_frame_is_found() -> None:
    found = scanned(OPTIMIZED_1G)
    frames, pages = found.pages.frames, found.pages
    firsts = dict(zip(reversed(frames.tolist()), reversed(range(frames.size)), strict=True))
    after = [row for row, frame in enumerate(frames.tolist()) if frame >= 0 and firsts[frame] != row]
    assert sorted(shared_frames(found.walk, pages, ())) == [
        (row, f"mapped at VA {pages.va(firsts[int(frames[row])]):#x}") for row in after
    ]
    assert len(after) == 4095 + 8 * 7


def test_a_frame_that_two_huge_pages_share_has_two_owners(tmp_path: Path) -> None:
    other = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO + 512, 5))[1]
    slot, _ = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 5))
    found = findings_of(OPTIMIZED_2M, {slot: other}, tmp_path)
    assert [one["va"] for one in found if one["kind"] == "foreign-frame"] == [hex(va_of(FIRST_FOLIO, 5))]
    owners = [one for one in found if one["kind"] == "two-owners"]
    assert {one["pfn"] for one in owners} == {"0x549d"}


def test_a_page_table_that_is_mapped_as_vmemmap_has_two_owners(tmp_path: Path) -> None:
    table = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0] // PAGE
    slot, raw = slot_of(OPTIMIZED_2M, va_of(0x100))
    found = findings_of(OPTIMIZED_2M, {slot: raw & 0x8000000000000FFF | table * PAGE}, tmp_path)
    (finding,) = found
    assert (finding["kind"], finding["pfn"]) == ("two-owners", hex(table))
    assert "a page table" in finding["text"]
