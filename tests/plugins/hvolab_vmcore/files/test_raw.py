# SPDX-License-Identifier: GPL-2.0-only
"""Raw memory with a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import CoreFileError
from hvolab.machine import FrameState
from hvolab_vmcore.core.snapshot import SnapshotOptions
from hvolab_vmcore.files.extents import Extent
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.files.raw import read_map
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.dump_writers import ranges_of
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, VMEMMAP, pages_of
from tests.plugins.hvolab_vmcore.written_cores import GOOD


def written(directory: Path, text: str, content: bytes = b"") -> tuple[Path, Path]:
    (directory / "map").write_text(text, encoding="ascii")
    (directory / "raw").write_bytes(content or b"x")
    return directory / "raw", directory / "map"


def test_a_map_is_read_as_proc_iomem_has_it(tmp_path: Path) -> None:
    text = "00001000-00001fff : System RAM\n00002000-000fffff : Reserved\n\n# a remark\n100000-101fff : System RAM\n"
    _, path = written(tmp_path, text + "  00100000-00100fff : Kernel code\n200000-200fff@10\n300000-300fff\n")
    assert read_map(path) == (
        Extent(0x1000, 0x2000, 0),
        Extent(0x100000, 0x102000, 0x1000),
        Extent(0x200000, 0x201000, 0x10),
        Extent(0x300000, 0x301000, 0x1010),
    )


def test_a_map_may_have_capitals_blanks_and_ram_that_drivers_added(tmp_path: Path) -> None:
    lines = ("1000-1FFF  :  System RAM", "100000-1fffff : CXL Window 0", "  0x00100000-0x00100fff : System RAM (kmem)")
    _, path = written(tmp_path, "\r\n".join(lines))
    assert read_map(path) == (Extent(0x1000, 0x2000, 0), Extent(0x100000, 0x101000, 0x1000))


def test_a_map_that_the_kernel_hid_is_named(tmp_path: Path) -> None:
    raw, path = written(tmp_path, "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n")
    with pytest.raises(CoreFileError, match="all PAs of the map are 0") as caught:
        open_dump(raw, memory_map=path)
    assert caught.value.hint == "copy /proc/iomem as root"


@pytest.mark.parametrize(("start", "name"), [(GOOD, "ELF core"), (GOOD[:70], "ELF core"), (b"EMiL", "LiME")])
def test_a_dump_with_headers_needs_no_map(start: bytes, name: str, tmp_path: Path) -> None:
    raw, path = written(tmp_path, "1000-1fff\n", start)
    with pytest.raises(CoreFileError, match=f"this is a dump of format {name}, which needs no map") as caught:
        open_dump(raw, memory_map=path)
    assert caught.value.hint == "omit --map"


def test_memory_without_a_header_is_refused_with_the_option_for_its_map(tmp_path: Path) -> None:
    raw, _ = written(tmp_path, "1000-1fff\n", bytes(4096))
    with pytest.raises(CoreFileError, match="not a memory dump of a known format") as caught:
        open_dump(raw)
    assert "memory without a header needs --map FILE" in caught.value.hint


def test_bytes_that_the_map_leaves_out_are_a_warning(tmp_path: Path) -> None:
    raw, path = written(tmp_path, "1000-1fff\n", bytes(4196))
    assert open_dump(raw, memory_map=path).warnings == (
        "the map leaves out 0x64 bytes at the end of the file: it may be that of another machine",
    )


def test_frames_are_where_the_map_has_them_and_missing_ones_were_not_saved(tmp_path: Path) -> None:
    raw, path = written(tmp_path, "1000-1fff\n5000-6fff\n", b"a" * 4096 + b"b" * 4096 + b"c" * 10)
    dump = open_dump(raw, memory_map=path)
    assert (dump.format, dump.warnings) == (
        "raw",
        ("the file is shorter than its map: 0xff6 bytes of memory are missing",),
    )
    frames = dump.frames(12)
    assert frames.states(np.array([0, 1, 5, 6])).tolist() == [
        FrameState.ABSENT,
        FrameState.SAVED,
        FrameState.SAVED,
        FrameState.NOT_SAVED,
    ]
    assert frames.read(np.array([5]), 4096).tobytes() == b"b" * 4096


def test_raw_memory_is_inspected(tmp_path: Path) -> None:
    ranges = list(ranges_of(pages_of(OPTIMIZED_2M)))
    lines = [f"{pfn << 12:x}-{(pfn << 12) + len(data) - 1:x}" for pfn, data in ranges]
    raw, path = written(tmp_path, "\n".join(lines), b"".join(data for _, data in ranges))
    options = SnapshotOptions("x86_64", "4-level", 0x2C22000, VMEMMAP, memory_map=path)
    assert int(open_scan(raw, options).huge_pages[-1].optimized.sum()) == 8


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nothing\n", "this line is not a range: 'nothing'"),
        ("2000-1fff\n", "the range ends before it starts"),
        ("1000-1fff : Reserved\n", "the map has no memory"),
        ("1000-1001\n1000-1001\n", "two ranges overlap and disagree"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    raw, path = written(tmp_path, text, b"abcdefgh")
    with pytest.raises(CoreFileError, match=complaint) as caught:
        open_dump(raw, memory_map=path)
    assert "--map" in caught.value.hint
