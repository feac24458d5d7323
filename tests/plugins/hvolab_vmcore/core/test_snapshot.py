# SPDX-License-Identifier: GPL-2.0-only
"""Snapshot of a kernel in a core."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import FIRST_FOLIO, GIGANTIC, OPTIMIZED_1G, VMEMMAP, changed, scanned


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
