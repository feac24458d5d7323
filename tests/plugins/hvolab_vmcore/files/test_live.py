# SPDX-License-Identifier: GPL-2.0-only
"""Memory of a running machine: read by system calls, segments without a PA left out, permission explained."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files import live
from hvolab_vmcore.files.content import open_content
from hvolab_vmcore.files.live import LiveContent, changes, is_live
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M
from tests.plugins.hvolab_vmcore.written_cores import page


@pytest.fixture
def kcore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the place of /proc/kcore."""
    path = tmp_path / "kcore"
    monkeypatch.setattr(live, "LIVE", path)
    return path


def test_the_running_machine_is_read_and_named(kcore: Path) -> None:
    kcore.write_bytes(lzma.decompress(OPTIMIZED_2M.read_bytes()))
    found = open_scan(kcore)
    assert int(found.huge_pages[-1].optimized.sum()) == 8
    assert found.findings == ()
    assert any("its memory changes while it is read" in text for text in found.snapshot.core.warnings)


def test_segments_without_a_pa_are_left_out_and_overlapping_ones_need_not_agree(kcore: Path) -> None:
    text = Memory(0x1000, b"\x01" * 4096, 4096, 0xFFFFFFFF81000000)
    vmemmap = Memory((1 << 64) - 1, b"\x02" * 4096, 4096, 0xFFFFEA0000000000)
    content = write_core([text, page(0x1000), page(0x2000), vmemmap])
    kcore.write_bytes(content)
    dump = open_dump(kcore)
    assert dump.ranges == ((0x1000, 0x2000), (0x1000, 0x2000), (0x2000, 0x3000))
    assert "segments without a PA, left out: 1" in dump.warnings
    assert dump.frames(12).read(np.array([1]), 1).tobytes() in {b"\x01", b"\xab"}
    other = kcore.with_name("a.core")
    other.write_bytes(content)
    with pytest.raises(CoreFileError, match="two segments overlap and disagree"):
        open_dump(other)


def test_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(struct.pack("<512Q", *range(512)))
    ours, mapped = LiveContent(path), open_content(path)
    offsets = np.array([0, 8, 4000])
    assert ours.size == mapped.size == 4096
    assert ours.read(4090, 100) == mapped.read(4090, 100)
    assert ours.rows(offsets, 64).tolist() == mapped.rows(offsets, 64).tolist()
    assert ours.rows(np.array([4090]), 8).tobytes() == mapped.read(4090, 6) + bytes(2)
    assert (changes(ours), changes(mapped)) == (True, False)


def test_only_proc_kcore_is_the_running_machine(tmp_path: Path) -> None:
    assert is_live(Path("/proc/kcore"))
    assert is_live(Path("/proc/../proc/kcore"))
    assert not is_live(tmp_path / "kcore")


def test_what_reading_needs_is_named(kcore: Path) -> None:
    with pytest.raises(CoreFileError, match="the memory of this machine cannot be read: No such file") as caught:
        open_dump(kcore)
    assert "needs root" in caught.value.rule
    assert "run as root" in caught.value.hint
