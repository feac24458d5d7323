# SPDX-License-Identifier: GPL-2.0-only
"""What was not saved is counted, and never taken for right or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.machine import FrameState
from hvolab_vmcore.commands.report import print_summary
from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.scan.scan import Scan, Verdict
from hvolab_vmcore.torture.dump_writers import write_kdump
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_2M,
    RISCV_OPTIMIZED,
    changed,
    made,
    pa_of,
    pages_of,
    plain,
    scanned,
    slot_of,
    va_of,
    without,
)
from tests.plugins.hvolab_vmcore.written_cores import patched

HEAD = pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))
TABLE = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0]


def excluded(directory: Path, *pas: int, core: Path = OPTIMIZED_2M) -> Scan:
    return open_scan(without(core, pas, directory / "a.kdump"))


def test_a_whole_dump_of_the_same_memory_is_the_same(tmp_path: Path) -> None:
    found, core = excluded(tmp_path), scanned(OPTIMIZED_2M)
    assert found.verdict is Verdict.NO_PROBLEMS
    ours, theirs = scan_data(found), scan_data(core)
    assert [key for key in ours if ours[key] != theirs[key]] == ["core", "format", "release_choice"]
    assert not found.unsaved.decisive


def test_a_table_that_was_not_saved_may_map_huge_pages(tmp_path: Path) -> None:
    found = excluded(tmp_path, TABLE)
    assert [one.pa for one in found.unsaved.tables] == [TABLE & -4096]
    assert found.unsaved.blocks == {18: 1, 9: 64}
    assert (found.verdict, found.kinds()) == (Verdict.UNKNOWN, {})
    data = scan_data(found)
    assert data["verdict"] == "cannot tell"
    assert data["not_saved"]["tables"][0]["pa"] == hex(TABLE & -4096)
    assert data["absent"]["tables"] == []


def test_a_table_where_the_core_describes_no_memory_may_map_huge_pages_as_well(tmp_path: Path) -> None:
    pages = {pfn: data for pfn, data in pages_of(OPTIMIZED_2M).items() if pfn != TABLE >> 12}
    info = next(note.data for note in scanned(OPTIMIZED_2M).snapshot.core.notes if note.name == "VMCOREINFO")
    (tmp_path / "a.kdump").write_bytes(write_kdump(pages, info=info))
    found = open_scan(tmp_path / "a.kdump")
    assert found.unsaved.tables == ()
    assert [one.pa for one in found.walk.absent] == [TABLE & -4096]
    assert (found.unsaved.blocks, found.verdict) == ({18: 1, 9: 64}, Verdict.UNKNOWN)
    # tables of other memory than the core's decide nothing
    other = scanned(RISCV_OPTIMIZED)
    assert (len(other.walk.absent), other.verdict) == (3, Verdict.NO_PROBLEMS)


def test_bytes_beyond_those_in_the_file_may_be_a_table(tmp_path: Path) -> None:
    core = scanned(OPTIMIZED_2M).snapshot.core
    headers = range(64 + 56, 64 + 56 * 100, 56)
    content = plain(OPTIMIZED_2M)
    (at,) = (
        place
        for place in headers
        if content[place : place + 4] == b"\1\0\0\0"
        and (start := int.from_bytes(content[place + 24 : place + 32], "little"))
        <= TABLE
        < start + int.from_bytes(content[place + 40 : place + 48], "little")
    )
    start = int.from_bytes(content[at + 24 : at + 32], "little")
    path = tmp_path / "a.core"
    path.write_bytes(patched(content, at + 32, ((TABLE & -4096) - start).to_bytes(8, "little")))
    found = open_scan(path)
    assert core.format == found.snapshot.core.format
    assert found.verdict is Verdict.UNKNOWN
    assert found.unsaved.blocks[9] == 64


def test_an_optimized_page_whose_head_was_not_saved_is_optimized_and_its_flag_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = excluded(tmp_path, HEAD)
    assert [int(huge.optimized.sum()) for huge in found.huge_pages] == [0, 8]
    assert (found.unsaved.bits, found.unsaved.frames, found.kinds()) == (1, 1, {})
    assert found.verdict is Verdict.UNKNOWN
    print_summary(found)
    output = capsys.readouterr().out
    assert "cannot tell HPG_vmemmap_optimized of optimized huge pages whose head was not saved: 1" in output
    assert "no problems" not in output


def test_a_page_that_is_not_optimized_is_known_by_its_head_alone(tmp_path: Path) -> None:
    core = made("x86_64-6.12.117", "4-restored")
    whole = scanned(core)
    frames = whole.pages.frames[whole.pages.numbers % 8 == 0]
    held = frames[whole.snapshot.memory.states(frames) == FrameState.SAVED]
    found = open_scan(without(core, [int(held[0]) << 12], tmp_path / "a.kdump"))
    assert found.unsaved.blocks[9] >= 1
    assert found.verdict in {Verdict.UNKNOWN, Verdict.PROBLEMS}


def test_tails_that_share_a_frame_may_be_hugetlbs_or_a_devices_without_their_head(tmp_path: Path) -> None:
    core = made("x86_64-7.2", "1-four-2M")
    whole = open_scan(core)
    smallest = whole.huge_pages[-1]
    head = int(whole.pages.frames[smallest.rows[smallest.optimized][0]]) << 12
    found = open_scan(without(core, [head], tmp_path / "a.kdump"))
    assert int(found.huge_pages[-1].optimized.sum()) == int(smallest.optimized.sum()) - 1
    assert found.unsaved.blocks[9] == 1
    assert found.verdict is Verdict.UNKNOWN
    states = {page["state"] for page in scan_data(found)["huge_pages"]}
    assert "cannot tell" in states


def test_problems_are_found_next_to_what_was_not_saved(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO + 512, 3))
    core = changed(OPTIMIZED_2M, {slot: raw ^ 0x40000}, tmp_path / "changed.core")
    found = excluded(tmp_path, HEAD, core=core)
    assert found.unsaved.bits == 1
    assert found.verdict is Verdict.PROBLEMS
