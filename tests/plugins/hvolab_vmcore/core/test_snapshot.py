# SPDX-License-Identifier: GPL-2.0-only
"""Snapshot of a kernel in a core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError, UsageError
from hvolab_vmcore.commands.notes import assumptions
from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.scan.scan import scan
from hvolab_vmcore.torture.dump_writers import Pages, write_kdump, write_lime
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    VMEMMAP,
    changed,
    scanned,
    with_text,
    without,
)


def test_a_snapshot_has_root_vmemmap_and_release_of_vmcoreinfo() -> None:
    snapshot = scanned(OPTIMIZED_1G).snapshot
    assert (snapshot.tables.root, snapshot.vmemmap, snapshot.kernel) == (0x2C22000, VMEMMAP, "6.12.107+deb13-amd64")
    assert (snapshot.target.mode.name, snapshot.target.release.name) == ("4-level", "6.12")
    assert snapshot.region == (VMEMMAP, VMEMMAP + (64 << 46 - 12))


def test_options_replace_profile_and_release() -> None:
    target = open_snapshot(OPTIMIZED_1G, SnapshotOptions(profile="strict", release="6.1")).target
    assert (target.profile, target.release.name) == ("strict", "6.1")


def test_without_vmcoreinfo_the_options_locate_page_tables_and_vmemmap(tmp_path: Path) -> None:
    content = changed(OPTIMIZED_1G, {}, tmp_path / "bare.core").read_bytes()
    bare = tmp_path / "bare.core"
    bare.write_bytes(content.replace(b"VMCOREINFO\0", b"VMCOREXXXX\0"))
    options = SnapshotOptions(mode="4-level", root=0x2C22000, vmemmap=0xFFFFEA0000000000)
    data = scan_data(scan(open_snapshot(bare, options)))
    assert [page["pfn"] for page in data["huge_pages"]][:2] == [hex(GIGANTIC), hex(FIRST_FOLIO)]
    assert data["kernel"] == ""


def test_a_note_that_cannot_be_used_is_named_with_all_that_is_missing(tmp_path: Path) -> None:
    path = with_text(OPTIMIZED_1G, b"PAGESIZE=", b"PAGE_SIZ=", tmp_path / "a.core")
    with pytest.raises(UsageError, match="cannot determine the paging mode, the root page table, the VA") as caught:
        open_snapshot(path)
    assert "VMCOREINFO, which cannot be used: the text has no PAGESIZE" in caught.value.where


def test_a_number_of_bits_that_no_machine_has_bounds_nothing(tmp_path: Path) -> None:
    path = with_text(OPTIMIZED_1G, b"(MAX_PHYSMEM_BITS)=46", b"(MAX_PHYSMEM_BITS)=-1", tmp_path / "a.core")
    assert [int(huge.optimized.sum()) for huge in scan(open_snapshot(path)).huge_pages] == [1, 8]


def test_a_note_without_a_release_is_a_note(tmp_path: Path) -> None:
    path = with_text(OPTIMIZED_1G, b"OSRELEASE=", b"OS_RELEAS=", tmp_path / "a.core")
    texts = assumptions(scan(open_snapshot(path)))
    assert texts[0] == "VMCOREINFO: there is no OSRELEASE"
    assert not any("has no VMCOREINFO" in text for text in texts)


def test_a_file_cut_short_says_so_where_a_table_is_missing(tmp_path: Path) -> None:
    path = changed(OPTIMIZED_2M, {}, tmp_path / "a.core")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CoreFileError) as caught:
        scan(open_snapshot(path))
    assert caught.value.hint == "copy the file again: it is cut short"


@pytest.mark.parametrize("write", [write_lime, write_kdump])
def test_a_file_cut_short_that_lacks_vmcoreinfo_says_so(write: Callable[[Pages], bytes], tmp_path: Path) -> None:
    path, content = tmp_path / "a.dump", write({1: bytes(range(256)) * 16, 2: bytes(range(256)) * 16})
    path.write_bytes(content[:-4000] if write is write_lime else content[:-100])
    with pytest.raises(UsageError) as caught:
        open_snapshot(path)
    assert caught.value.hint.startswith("copy the file again: it is cut short; or give --")


def test_a_page_size_that_no_mode_has_is_no_reason_to_name_a_mode(tmp_path: Path) -> None:
    path = with_text(OPTIMIZED_1G, b"PAGESIZE=4096", b"PAGESIZE=8192", tmp_path / "a.core")
    with pytest.raises(UsageError, match="no mode with pages of 8192 bytes") as caught:
        open_snapshot(path)
    assert caught.value.hint.startswith("give the text of VMCOREINFO by --vmcoreinfo FILE")
    (note,) = (note.data for note in scanned(OPTIMIZED_1G).snapshot.core.notes if note.name == "VMCOREINFO")
    (tmp_path / "text").write_bytes(note)
    assert open_snapshot(path, SnapshotOptions(vmcoreinfo=tmp_path / "text")).target.mode.name == "4-level"


def test_a_root_that_is_elsewhere_is_shown_with_the_memory_of_the_core(tmp_path: Path) -> None:
    page = changed(OPTIMIZED_2M, {}, tmp_path / "a.core")
    with pytest.raises(CoreFileError, match="the root table, at PA 0x7000, is not in the core") as caught:
        open_snapshot(page, SnapshotOptions(root=0x7000))
    assert caught.value.where.endswith("a.core, with memory from PA 0x2c22000 on")


def test_a_root_that_was_excluded_is_called_so(tmp_path: Path) -> None:
    path = without(OPTIMIZED_2M, [0x2C22000], tmp_path / "a.kdump")
    with pytest.raises(CoreFileError, match="the root table, at PA 0x2c22000, was not saved"):
        open_snapshot(path)
