# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO from a file, and found in memory; and dumps whose format has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError, UsageError
from hvolab_vmcore.core.kernel_note import with_found_text, with_text_of
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.dump_writers import PAGE as BLOCK
from hvolab_vmcore.torture.dump_writers import Pages, write_avml, write_kdump, write_lime
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, VMEMMAP, pages_of

(NOTE,) = (one.data for one in open_core(OPTIMIZED_2M).notes if one.name == "VMCOREINFO")
MODE, ROOT = "4-level", 0x2C22000
WRITERS = pytest.mark.parametrize("write", [write_lime, write_avml])


def dumped(write: Callable[[Pages], bytes], to: Path, **more: bytes) -> Path:
    """Write the memory of a core in a format that has no notes, with pages after it."""
    pages: dict[int, bytes] = pages_of(OPTIMIZED_2M)
    for index, text in enumerate(more.values()):
        pages[0xC0000 + index] = text.ljust(BLOCK, b"\0")
    to.write_bytes(write(pages))
    return to


@WRITERS
def test_a_dump_without_notes_is_read_by_the_text_in_its_memory(
    write: Callable[[Pages], bytes], tmp_path: Path
) -> None:
    path = dumped(write, tmp_path / "a.dump", odd=b"OSRELEASE=x\n", text=NOTE)
    found = open_scan(path)
    assert found.snapshot.kernel == "6.12.107+deb13-amd64"
    assert found.snapshot.target.architecture.elf_machine == "EM_X86_64"
    assert found.snapshot.core.warnings[0] == "VMCOREINFO was found in memory, at PA 0xc0001000"
    assert int(found.huge_pages[-1].optimized.sum()) == 8


@pytest.mark.parametrize(("release", "root"), [(b"6.12.107+deb13-amd64", ROOT), (b"6.12.108+deb13-amd64", None)])
def test_a_note_without_a_root_table_is_replaced_by_the_text_of_its_kernel(
    release: bytes, root: int | None, tmp_path: Path
) -> None:
    odd = NOTE.replace(b"SYMBOL(swapper_pg_dir)", b"SYMBOL(swapper\0pg_dir)")
    pages: dict[int, bytes | None] = {**pages_of(OPTIMIZED_2M)}
    pages[0xC0000] = NOTE.replace(b"6.12.107+deb13-amd64", release).ljust(BLOCK, b"\0")
    (tmp_path / "a.kdump").write_bytes(write_kdump(pages, info=odd))
    if root is None:
        with pytest.raises(UsageError, match="cannot determine the root page table"):
            open_snapshot(tmp_path / "a.kdump")
        return
    snapshot = open_snapshot(tmp_path / "a.kdump")
    assert snapshot.tables.root == root
    assert "VMCOREINFO was found in memory, at PA 0xc0000000" in snapshot.core.warnings


def test_a_text_may_be_given_in_a_file(tmp_path: Path) -> None:
    path, text = dumped(write_lime, tmp_path / "a.dump"), tmp_path / "text"
    text.write_bytes(NOTE.rstrip(b"\n").replace(b"\n", b"\r\n"))
    snapshot = open_snapshot(path, SnapshotOptions(vmcoreinfo=text))
    assert (snapshot.kernel, snapshot.tables.root) == ("6.12.107+deb13-amd64", ROOT)
    text.write_bytes(b"nothing")
    with pytest.raises(CoreFileError, match="the text has no PAGESIZE"):
        with_text_of(open_dump(path), text)


def test_without_any_text_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    path = dumped(write_lime, tmp_path / "a.dump")
    dump = open_dump(path)
    assert with_found_text(dump) is dump
    with pytest.raises(UsageError, match="does not name the architecture, and there is no VMCOREINFO"):
        open_snapshot(path)
    with pytest.raises(UsageError) as caught:
        open_snapshot(path, SnapshotOptions(arch="x86_64"))
    assert caught.value.what == ("cannot determine the paging mode, the root page table, the VA of the vmemmap")
    assert all(option in caught.value.hint for option in ("--mode", "--root", "--vmemmap", "--vmcoreinfo"))
    options = SnapshotOptions(arch="x86_64", mode=MODE, root=ROOT, vmemmap=VMEMMAP)
    assert int(open_scan(path, options).huge_pages[-1].optimized.sum()) == 8
