# SPDX-License-Identifier: GPL-2.0-only
"""LiME's and AVML's dumps."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import CoreFileError
from hvolab.machine import FrameState
from hvolab_vmcore.files.dump import CUT_SHORT, Dump
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.torture.dump_writers import PAGE as BLOCK
from hvolab_vmcore.torture.dump_writers import Pages, write_avml, write_lime
from tests.plugins.hvolab_vmcore.written_cores import patched

CHANCE = random.Random(15)
PAGES: Pages = {pfn: CHANCE.randbytes(64) * 64 for pfn in (1, 2, *range(100, 140), 70000)}
WRITERS = pytest.mark.parametrize(("write", "name"), [(write_lime, "LiME"), (write_avml, "AVML")])


def opened(directory: Path, content: bytes) -> Dump:
    (directory / "a.dump").write_bytes(content)
    return open_dump(directory / "a.dump")


@WRITERS
def test_ranges_have_their_pages(write: Callable[[Pages], bytes], name: str, tmp_path: Path) -> None:
    dump = opened(tmp_path, write(PAGES))
    assert (dump.format, dump.machine, dump.warnings) == (name, None, ())
    assert dump.ranges[0] == (BLOCK, 3 * BLOCK)
    pfns, frames = np.array([*PAGES][::-1]), dump.frames(12)
    assert (frames.states(pfns) == FrameState.SAVED).all()
    assert frames.states(np.array([-1, 0, 3, 99, 140, 1 << 40])).tolist() == [FrameState.ABSENT] * 6
    for size in (64, BLOCK):
        assert [row.tobytes() for row in frames.read(pfns, size)] == [
            (PAGES[pfn] or b"")[:size] for pfn in pfns.tolist()
        ]
    large = dump.frames(14)
    assert large.states(np.array([0, 25, 34])).tolist() == [FrameState.NOT_SAVED, FrameState.SAVED, FrameState.SAVED]
    assert large.read(np.array([25]), 4 * BLOCK).tobytes() == b"".join(PAGES[pfn] or b"" for pfn in range(100, 104))


@WRITERS
def test_a_file_cut_short_has_what_is_before_the_cut(
    write: Callable[[Pages], bytes], name: str, tmp_path: Path
) -> None:
    dump = opened(tmp_path, write(PAGES)[: -100 if name == "LiME" else -150])
    assert dump.warnings
    assert dump.frames(12).states(np.array([1, 139, 70000])).tolist() == [
        FrameState.SAVED,
        FrameState.SAVED,
        FrameState.NOT_SAVED,
    ]


@WRITERS
def test_zeros_after_the_last_range_are_padding(write: Callable[[Pages], bytes], name: str, tmp_path: Path) -> None:
    dump = opened(tmp_path, write(PAGES) + bytes(512))
    assert dump.format == name
    assert (dump.frames(12).states(np.array([*PAGES])) == FrameState.SAVED).all()


@WRITERS
def test_impossible_headers_are_refused(write: Callable[[Pages], bytes], name: str, tmp_path: Path) -> None:
    content = write(PAGES)
    for damaged in (patched(content, 4, b"\x09"), patched(content, 16, bytes(8))):
        with pytest.raises(CoreFileError, match=f"magic b'{content[:4].decode()}'"):
            opened(tmp_path, damaged)
    assert name


@WRITERS
@pytest.mark.parametrize("tail", [bytes(512), b"garbage" * 50, b"EMiL", b"AVML" + bytes(60)])
def test_a_damaged_header_after_the_first_ends_the_ranges_with_a_warning(
    write: Callable[[Pages], bytes], name: str, tail: bytes, tmp_path: Path
) -> None:
    content = write(PAGES)
    dump = opened(tmp_path, content + tail)
    assert (dump.format, dump.remedy) == (name, CUT_SHORT)
    assert dump.warnings == (f"the file is cut short or damaged after {len(content):#x} bytes",)
    assert (dump.frames(12).states(np.array([*PAGES])) == FrameState.SAVED).all()


def test_impossible_chunks_are_refused(tmp_path: Path) -> None:
    content = write_avml(PAGES)
    with pytest.raises(CoreFileError, match="a chunk has type 0x42"):
        opened(tmp_path, patched(content, 32, b"\x42"))
    first = content.index(b"sNaPpY") + 6
    with pytest.raises(CoreFileError, match="unpacked"):
        opened(tmp_path, patched(content, first + 8, b"\xff\xff\xff\xff\x0f"))


def test_ranges_that_disagree_are_refused(tmp_path: Path) -> None:
    content = write_lime({1: b"a" * BLOCK}) + write_lime({1: b"b" * BLOCK})
    with pytest.raises(CoreFileError, match="two ranges overlap and disagree"):
        opened(tmp_path, content)
