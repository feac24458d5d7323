# SPDX-License-Identifier: GPL-2.0-only
"""Owners of pages: every kind, as the dump shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.page.owner import Owner, owner_of
from hvolab_vmcore.page.words import read_struct_page
from hvolab_vmcore.scan.scan import Scan, scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    changed,
    made,
    pa_of,
    scanned,
    slot_of,
    va_of,
    without,
)

#: A block of the restored cores, of which the core has the struct pages.
BLOCK = 0x4200


def owner(found: Scan, pfn: int) -> Owner:
    return owner_of(found, read_struct_page(found.snapshot, pfn))


def written(core: Path, words: dict[int, int], to: Path) -> Scan:
    return scan(open_snapshot(changed(core, words, to / "changed.core")))


def test_tails_of_an_optimized_page_are_what_their_bytes_are() -> None:
    found = scanned(OPTIMIZED_1G)
    roles = {number: owner(found, GIGANTIC + number) for number in (0, 1, 63, 64, 65, 262143)}
    assert [one.role for one in roles.values()] == [
        *("huge page head", "huge page tail", "huge page tail", "fake head", "shared tail", "shared tail"),
    ]
    assert [one.number for one in roles.values()] == [0, 1, 63, 0, 1, 63]
    assert {one.folio for one in roles.values()} == {GIGANTIC}
    assert {one.order for one in roles.values()} == {18}


@pytest.mark.parametrize(
    ("kernel", "roles"),
    [
        ("x86_64-6.1", ["huge page head", "huge page tail", "fake head", "shared tail"]),
        ("x86_64-6.12.117", ["huge page head", "huge page tail", "fake head", "shared tail"]),
        ("riscv64-6.12.117", ["huge page head", "huge page tail", "fake head", "shared tail"]),
        ("x86_64-7.2", ["huge page head", "huge page tail", "shared tail", "shared tail"]),
        ("riscv64-7.2", ["huge page head", "huge page tail", "shared tail", "shared tail"]),
    ],
)
def test_releases_differ_in_the_frame_that_tails_share(kernel: str, roles: list[str]) -> None:
    found = scanned(made(kernel, "2-eight-2M"))
    head = int(found.huge_pages[-1].pfns[0])
    assert [owner(found, head + number).role for number in (0, 1, 64, 65)] == roles


def test_frames_of_the_vmemmap_and_its_tables_are_named() -> None:
    found = scanned(OPTIMIZED_2M)
    frame = owner(found, pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) >> 12)
    assert frame.role == "vmemmap page"
    assert "struct pages of PFN 0x5c00 to 0x5c3f; 7 more pages of vmemmap map it" in frame.text
    table = owner(found, slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0] >> 12)
    assert (table.role, "level pte" in table.text) == ("page table of the vmemmap", True)


@pytest.mark.parametrize("kernel", ["x86_64-6.1", "x86_64-7.2"])
def test_pages_of_free_blocks_are_free(kernel: str) -> None:
    found = scanned(made(kernel, "4-restored"))
    for number in (0, 1, 511):
        one = owner(found, BLOCK + number)
        assert (one.role, one.folio, one.order) == ("free", BLOCK, 9)


def test_other_pages_are_judged_by_their_struct_pages(tmp_path: Path) -> None:
    core = made("x86_64-6.12.117", "4-restored")
    at = {number: pa_of(core, va_of(BLOCK) + 64 * number) for number in range(6)}
    words = {at[0] + 48: 0xFFFFFFFF, at[0]: 1 << 6, at[1]: 4, at[1] + 8: va_of(BLOCK) | 1}
    words |= {at[2]: 1 << 13, at[3] + 48: 3 << 32 | 0xF5000000, at[4] + 48: 0xFFFFFFFF, at[5]: 1 << 20}
    found = written(core, words, tmp_path)
    owners = [owner(found, BLOCK + number) for number in range(6)]
    assert [one.role for one in owners] == [
        *("compound head", "compound tail", "reserved", "in use", "not in use", "not in use"),
    ]
    assert (owners[0].order, owners[1].folio) == (4, BLOCK)
    assert owners[3].text == "allocated: reference count 3, slab"
    assert "a memory error was reported" in owners[5].text


def test_a_huge_page_that_is_not_optimized_has_plain_tails() -> None:
    found = scanned(made("x86_64-6.12.117", "1-four-2M"))
    (large,) = (huge for huge in found.huge_pages if huge.order == 9)
    assert owner(found, int(large.pfns[0]) + 64).role == "fake head"
    unmapped = owner(found, 1 << 32)
    assert unmapped.role == "no struct page"


def test_what_was_not_saved_is_not_judged(tmp_path: Path) -> None:
    core = made("x86_64-6.12.117", "4-restored")
    frame = pa_of(core, va_of(BLOCK))
    found = scan(open_snapshot(without(core, [frame], tmp_path / "a.kdump")))
    assert owner(found, BLOCK) == Owner("cannot tell", "its struct page was not saved")
    assert owner(scanned(OPTIMIZED_2M), 0x1234).role == "cannot tell"
    table = slot_of(core, va_of(BLOCK))[0] // 4096 * 4096
    below = scan(open_snapshot(without(core, [table], tmp_path / "b.kdump")))
    assert owner(below, BLOCK) == Owner("cannot tell", "a page table is not in the dump")
