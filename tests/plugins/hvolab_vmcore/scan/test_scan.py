"""What is read off real kernels' page tables: which huge pages are optimized, what that saves, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hvolab_vmcore.commands.report import scan_data
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    CAPTURES,
    FIRST_FOLIO,
    FOLDERS,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    RESTORED,
    changed,
    pa_of,
    scanned,
    slot_of,
    va_of,
)

RW, DIRTY = 1 << 1, 1 << 6
PRIVATE, PAGE_TYPE = 40, 48


def findings_of(core: Path, words: dict[int, int], tmp_path: Path) -> list[dict[str, Any]]:
    """The findings in a copy of ``core`` with those words changed."""
    return list(scan_data(scan(open_snapshot(changed(core, words, tmp_path / "changed.core"))))["findings"])


def stages() -> list[tuple[str, str]]:
    return [
        (folder.name, stage["file"])
        for folder in FOLDERS
        for stage in json.loads((folder / "capture.json").read_text())["stages"]
    ]


@pytest.mark.parametrize(("folder", "file"), stages())
def test_a_scan_finds_the_huge_pages_that_the_kernel_itself_reported(folder: str, file: str) -> None:
    capture = json.loads((CAPTURES / folder / "capture.json").read_text())
    (stage,) = (stage for stage in capture["stages"] if stage["file"] == file)
    pool = {int(folio["pfn"], 16): folio["size"] for folio in stage["folios"] if folio["in_pool"]}
    data = scan_data(scanned(CAPTURES / folder / file))
    assert {int(page["pfn"], 16): page["size"] for page in data["huge_pages"]} == pool
    assert {page["state"] for page in data["huge_pages"]} <= {"optimized"}
    assert all(page["bit"] for page in data["huge_pages"])
    assert data["savings"]["frames"] == sum(size // capture["page_size"] // 64 - 1 for size in pool.values())
    assert all(finding["declared"] for finding in data["findings"])


def test_every_entry_of_a_huge_page_is_the_one_that_the_kernel_reported() -> None:
    data = scan_data(scanned(OPTIMIZED_2M))
    (first,) = (page for page in data["huge_pages"] if page["pfn"] == hex(FIRST_FOLIO))
    assert first["head"]["entry"].startswith("0x80000000054e4163 ")
    (tails,) = first["tails"]
    assert tails["entry"].startswith("0x80000000054e4121 ")
    assert (tails["pages"], tails["pfn"], tails["writable"]) == (7, "0x54e4", False)


def test_a_split_costs_a_page_table_and_stays_after_the_restore() -> None:
    assert scanned(BOOT).savings.splits == 0
    assert scanned(OPTIMIZED_2M).savings.splits == 1
    assert scanned(RESTORED).savings.splits == 9
    assert scanned(RESTORED).savings.frames == 0
    assert scanned(OPTIMIZED_1G).savings.net_bytes == (4095 + 8 * 7 - 9) * PAGE


def test_frames_that_the_core_does_not_hold_are_counted() -> None:
    data = scan_data(scanned(OPTIMIZED_1G))
    assert data["absent"] == {"frames": 8128, "tables": []}
    assert "8128 frames" in data["assumptions"][0]


def test_a_table_that_the_core_does_not_hold_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    slot, raw = slot_of(BOOT, va_of(0x80000))
    absent = 0x12345000 | 0x67
    data = scan_data(scan(open_snapshot(changed(BOOT, {slot: absent}, tmp_path / "changed.core"))))
    assert raw & 0x80
    (table,) = data["absent"]["tables"]
    assert (table["va"], table["level"], table["pa"]) == (hex(va_of(0x80000)), "pmd", "0x12345000")


@pytest.mark.parametrize(
    ("kind", "page", "make"),
    [
        ("writable-tail", 3, lambda raw: raw | RW),
        ("wrong-pgprot", 3, lambda raw: raw | DIRTY),
        ("foreign-frame", 3, lambda raw: raw ^ 0x40000),
        ("unmapped-tail", 3, lambda _: 0),
        ("read-only-head", 0, lambda raw: raw & ~RW),
        ("wrong-pgprot", 0, lambda raw: raw & ~DIRTY),
        ("illegal-entry", None, lambda raw: raw | 1 << 13 | 1 << 7),
    ],
)
def test_a_changed_entry_is_a_finding_that_names_va_entry_and_frame(
    tmp_path: Path, kind: str, page: int | None, make: Any
) -> None:
    va = va_of(0x80000) if page is None else va_of(FIRST_FOLIO, page)
    slot, raw = slot_of(OPTIMIZED_2M, va)
    found = findings_of(OPTIMIZED_2M, {slot: make(raw)}, tmp_path)
    (finding,) = (one for one in found if one["kind"] == kind)
    assert finding["va"] == hex(va)
    assert finding["entry"].startswith(f"{make(raw):#018x}")
    assert not finding["declared"]
    if page is not None:
        assert finding["folio"] == hex(FIRST_FOLIO)
    if kind == "foreign-frame":
        assert finding["pfn"] == hex(0x54E4 ^ 0x40)


def test_a_wrong_tail_in_a_gigantic_page_does_not_hide_the_page(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_1G, va_of(GIGANTIC, 4000))
    core = changed(OPTIMIZED_1G, {slot: raw ^ 0x40000}, tmp_path / "changed.core")
    data = scan_data(scan(open_snapshot(core)))
    assert [(page["pfn"], page["state"]) for page in data["huge_pages"][:2]] == [
        (hex(GIGANTIC), "broken"),
        (hex(FIRST_FOLIO), "optimized"),
    ]
    assert [part["pages"] for part in data["huge_pages"][0]["tails"]] == [3999, 1, 95]


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


def test_a_cleared_bit_and_a_bit_without_remap_are_findings(tmp_path: Path) -> None:
    private = pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + PRIVATE
    assert [one["kind"] for one in findings_of(OPTIMIZED_2M, {private: 0}, tmp_path)] == ["remap-without-bit"]
    # tails with frames of their own again, as in the core before
    slots = {slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, page))[0]: page for page in range(1, 8)}
    own = {slot: 0x80000000BCF70163 + page * PAGE for slot, page in slots.items()}
    kinds = [one["kind"] for one in findings_of(OPTIMIZED_2M, own, tmp_path)]
    assert kinds == ["bit-without-remap"]


def test_tails_that_share_a_frame_of_their_own_are_recognized_as_those_of_v7(tmp_path: Path) -> None:
    tail_frame = 0x2345 * PAGE
    words = {}
    for pfn in (FIRST_FOLIO, FIRST_FOLIO + 512):
        for page in range(1, 8):
            slot, raw = slot_of(OPTIMIZED_2M, va_of(pfn, page))
            words[slot] = raw & 0x8000000000000FFF | tail_frame
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    pages = {page["pfn"]: page for page in scan_data(found)["huge_pages"]}
    assert pages[hex(FIRST_FOLIO)]["tails_share"] == "tail"
    assert pages[hex(FIRST_FOLIO + 1024)]["tails_share"] == "head"
    assert found.findings == ()
    assert found.savings.frames == 8 * 7 - 1


def test_a_device_dax_folio_is_no_hugetlb_folio(tmp_path: Path) -> None:
    words = {pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + PAGE_TYPE: 0xFFFFFFFF}
    for page in range(1, 8):
        slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, page))
        words[slot] = raw & 0x8000000000000FFF | 0x2345 * PAGE | RW
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    states = {page["pfn"]: page["state"] for page in scan_data(found)["huge_pages"]}
    assert states[hex(FIRST_FOLIO)] == "device dax"
    assert found.findings == ()
    assert found.savings.frames == 7 * 7


def test_without_vmcoreinfo_the_options_say_where_things_are(tmp_path: Path) -> None:
    content = changed(OPTIMIZED_1G, {}, tmp_path / "bare.core").read_bytes()
    bare = tmp_path / "bare.core"
    bare.write_bytes(content.replace(b"VMCOREINFO\0", b"VMCOREXXXX\0"))
    options = SnapshotOptions(mode="4-level", root=0x2C22000, vmemmap=0xFFFFEA0000000000)
    data = scan_data(scan(open_snapshot(bare, options)))
    assert [page["pfn"] for page in data["huge_pages"]][:2] == [hex(GIGANTIC), hex(FIRST_FOLIO)]
    assert data["kernel"] == ""


def test_page_table_isolation_is_found_in_entries_that_are_not_global(tmp_path: Path) -> None:
    content = bytearray(changed(OPTIMIZED_1G, {}, tmp_path / "pti.core").read_bytes())
    scan_of = scanned(OPTIMIZED_1G)
    for tables in scan_of.walk.levels:
        for table, slot in np.argwhere(tables.leaf).tolist():
            pa = int(tables.pas[table]) + slot * 8
            (segment,) = (one for one in scan_of.snapshot.core.segments if one.physical <= pa < one.end)
            at = segment.offset + pa - segment.physical
            content[at + 1] &= 0xFE  # bit 8: Global
    (tmp_path / "pti.core").write_bytes(content)
    found = scan(open_snapshot(tmp_path / "pti.core"))
    assert found.snapshot.target.features == ("pti",)
    assert found.findings == ()


def test_every_page_of_the_vmemmap_is_translated_alike_by_scan_and_tables() -> None:
    found = scanned(OPTIMIZED_1G)
    frames = found.snapshot.tables.frames(va_of(0), found.pages.numbers.size)
    assert np.array_equal(found.pages.frames, frames)
