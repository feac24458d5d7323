# SPDX-License-Identifier: GPL-2.0-only
"""kdump-compressed dumps: written ones of every version and compression, and real ones against their ELF core."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import CoreFileError
from hvolab.machine import FrameState
from hvolab_vmcore.files.dump import CUT_SHORT, Dump
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.torture.dump_writers import PAGE as BLOCK
from hvolab_vmcore.torture.dump_writers import Pages, write_kdump
from tests.plugins.hvolab_vmcore.written_cores import GOOD, patched

REAL = Path(__file__).parents[1] / "made_dumps"
CHANCE = random.Random(15)
PAGES: Pages = {
    3: CHANCE.randbytes(BLOCK),
    4: bytes(BLOCK),
    5: None,
    9: b"abc1" * 1024,
    70: bytes(BLOCK),
    40000: CHANCE.randbytes(100) * 40 + bytes(96),
}
SAVED = [pfn for pfn, data in PAGES.items() if data is not None]


def opened(directory: Path, *contents: bytes) -> Dump:
    paths = [directory / f"part{index}" for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return open_dump(*paths)


def check(dump: Dump, pages: Pages = PAGES, missing: tuple[int, ...] = ()) -> None:
    frames = dump.frames(12)
    pfns = np.array([-1, 0, *pages, max(pages) + 1, 1 << 40])
    expected = [
        FrameState.ABSENT
        if pfn not in pages
        else FrameState.NOT_SAVED
        if pages[pfn] is None or pfn in missing
        else FrameState.SAVED
        for pfn in pfns.tolist()
    ]
    assert frames.states(pfns).tolist() == expected
    saved = pfns[np.array(expected) == FrameState.SAVED]
    for size in (8, 128, BLOCK):
        rows = frames.read(saved[::-1], size)
        assert [row.tobytes() for row in rows] == [(pages[pfn] or b"")[:size] for pfn in saved[::-1].tolist()]


@pytest.mark.parametrize("version", range(1, 7))
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_version_and_byte_order_is_read(tmp_path: Path, version: int, order: str) -> None:
    dump = opened(tmp_path, write_kdump(PAGES, version=version, order=order))
    check(dump)
    assert dump.format == f"kdump-compressed, version {version}"
    assert (dump.machine, dump.byte_order) == ("x86_64", "little" if order == "<" else "big")
    assert (dump.vmcoreinfo is not None) == (version >= 3)
    assert dump.ranges == ((3 * BLOCK, 40001 * BLOCK),)


@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (4,), (0x20,), (0, 1, 2, 4, 0x20)])
def test_every_compression_is_read(tmp_path: Path, kinds: tuple[int, ...]) -> None:
    check(opened(tmp_path, write_kdump(PAGES, kinds=kinds)))


def test_parts_of_a_split_dump_are_one_and_a_missing_one_is_named(tmp_path: Path) -> None:
    parts = [write_kdump(PAGES, part=part) for part in ((0, 9), (9, 20000), (20000, 40001))]
    check(opened(tmp_path, *parts))
    check(opened(tmp_path, *reversed(parts)))
    dump = opened(tmp_path, parts[0], parts[2])
    check(dump, missing=(9, 70))
    assert dump.warnings == ("parts of the split dump are missing, with PFN 0x9 to 0x4e1f: give them with --part",)


def test_files_that_are_no_parts_of_one_dump_are_refused(tmp_path: Path) -> None:
    whole, part = write_kdump(PAGES), write_kdump(PAGES, part=(0, 9))
    other = write_kdump(PAGES, part=(9, 40001), info=b"OSRELEASE=6.12.0\nPAGESIZE=4096\nBUILD-ID=1\n")
    strangers = (write_kdump({3: b"x" * BLOCK}, part=(0, 9)), other, GOOD)
    for others in ((whole, part), (part, whole), *((part, stranger) for stranger in strangers)):
        with pytest.raises(CoreFileError, match="not parts of one split dump"):
            opened(tmp_path, *others)


def test_a_file_cut_short_has_the_pages_before_the_cut(tmp_path: Path) -> None:
    content = write_kdump(PAGES, kinds=(0,))
    assert (opened(tmp_path, content).warnings, opened(tmp_path, content).remedy) == ((), "")
    cut = opened(tmp_path, content[:-1])
    assert (cut.warnings, cut.remedy) == (("the file is cut short: part0",), CUT_SHORT)
    check(cut, missing=(40000,))
    check(opened(tmp_path, content[: -3 * BLOCK]), missing=(9, 70, 40000))


def test_what_makedumpfile_marks_as_missing_is_a_warning(tmp_path: Path) -> None:
    warnings = opened(tmp_path, write_kdump(PAGES, status=0x19)).warnings
    assert [text.split(":")[0] for text in warnings] == [
        "makedumpfile could not write all pages",
        "pages of the vmemmap were excluded",
    ]


def test_pages_of_another_size_than_the_kernels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CoreFileError, match="pages of the dump have 4096 bytes, the kernel's 65536"):
        opened(tmp_path, write_kdump(PAGES)).frames(16)


@pytest.mark.parametrize(
    ("at", "value", "complaint"),
    [
        (8, b"\x07\0\0\0", "version 7"),
        (428, b"\x01\x10\0\0", "pages have 4097 bytes"),
        (432, bytes(4), "the sub-header has 0 pages"),
        (436, b"\x03\0\0\0", "the bitmaps 3"),
        (436, b"\0\0\0\x10", "bitmaps of"),
    ],
)
def test_impossible_headers_are_refused(tmp_path: Path, at: int, value: bytes, complaint: str) -> None:
    with pytest.raises(CoreFileError, match=complaint):
        opened(tmp_path, patched(write_kdump(PAGES), at, value))


def test_a_dump_of_no_memory_and_one_within_its_header_are_refused(tmp_path: Path) -> None:
    content = write_kdump({3: None})
    with pytest.raises(CoreFileError, match="no memory"):
        opened(tmp_path, patched(content, 2 * BLOCK, bytes(BLOCK)))
    with pytest.raises(CoreFileError, match="ends inside its header"):
        opened(tmp_path, content[:100])


@pytest.mark.parametrize("kind", [1, 2, 4, 0x20, 3])
def test_a_page_that_cannot_be_unpacked_is_an_error(tmp_path: Path, kind: int) -> None:
    content = write_kdump({3: b"ab" * 2048}, kinds=(0x20 if kind == 3 else kind,))
    place = 4 * BLOCK
    content = patched(content, place + 12, kind.to_bytes(4, "little"))
    start = int.from_bytes(content[place : place + 8], "little")
    dump = opened(tmp_path, patched(content, start, b"\xff\xff\xff\xff\x0f\xff"))
    with pytest.raises(CoreFileError, match="the page of PFN 0x3 cannot be unpacked"):
        dump.frames(12).read(np.array([3]), BLOCK)


def test_a_page_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    content = write_kdump({3: b"ab" * 2048}, kinds=(4,))
    start = int.from_bytes(content[4 * BLOCK : 4 * BLOCK + 8], "little")
    dump = opened(tmp_path, patched(content, start, b"\xff\xff\xff\xff\x0f"))
    with pytest.raises(CoreFileError, match="the block unpacks to 4294967295 bytes, more than 4096"):
        dump.frames(12).read(np.array([3]), BLOCK)


@pytest.mark.slow
@given(
    st.dictionaries(st.integers(0, 9000), st.sampled_from([None, bytes(BLOCK), b"x" * BLOCK]), min_size=1, max_size=30),
    st.sampled_from([0, 1, 2, 4, 0x20]),
)
def test_any_frames_are_found(
    tmp_path_factory: pytest.TempPathFactory, pages: dict[int, bytes | None], kind: int
) -> None:
    check(opened(tmp_path_factory.getbasetemp(), write_kdump(pages, kinds=(kind,))), pages)


@pytest.mark.parametrize(
    "name", ["zlib-0", "zlib-31", "lzo-31", "plain-31", "flattened-0", "zstd-0", "zstd-31", "zstd-flattened-31"]
)
def test_real_dumps_of_makedumpfile_have_the_memory_of_their_elf_core(name: str) -> None:
    compare_with_elf(open_dump(REAL / f"{name}.kdump.xz"))


def test_a_real_split_dump_has_the_memory_of_its_elf_core() -> None:
    compare_with_elf(open_dump(REAL / "split-1.kdump.xz", REAL / "split-2.kdump.xz"))


def compare_with_elf(dump: Dump) -> None:
    core = open_dump(REAL / "source.core.xz")
    assert core.vmcoreinfo is not None
    assert dump.vmcoreinfo is not None
    assert dump.vmcoreinfo.raw == core.vmcoreinfo.raw
    assert dump.machine == "x86_64"
    ours, theirs = dump.frames(12), core.frames(12)
    pfns = np.arange(0xC0000)
    held = pfns[theirs.states(pfns) == FrameState.SAVED]
    assert held.size > 200
    states = ours.states(held)
    saved = held[states == FrameState.SAVED]
    assert (ours.read(saved, BLOCK) == theirs.read(saved, BLOCK)).all()
    assert not theirs.read(held[states != FrameState.SAVED], BLOCK).any()
    assert not (ours.states(pfns[theirs.states(pfns) == FrameState.ABSENT]) == FrameState.SAVED).any()
