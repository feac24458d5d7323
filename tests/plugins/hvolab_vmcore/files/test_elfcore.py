# SPDX-License-Identifier: GPL-2.0-only
"""Memory cores: those of real kernels are opened, all other bytes are refused with a reason."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import CoreFileError
from hvolab.machine import FrameState
from hvolab_vmcore.files.dump import CUT_SHORT
from hvolab_vmcore.files.elf import ByteOrder, CoreNote
from hvolab_vmcore.files.elfcore import CoreFile, CoreSegment, open_core
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from tests.plugins.hvolab_vmcore.written_cores import GOOD, opened, page, patched, refusal

CAPTURES = Path(__file__).parents[3] / "captures"
SMALLEST = CAPTURES / "x86_64-6.12-4level" / "2-optimised-1G.core.xz"
VMCOREINFO = b"OSRELEASE=6.12.0\nPAGESIZE=4096\n"


# Real kernels


@pytest.mark.parametrize(
    ("capture", "machine", "counts", "first", "end"),
    [
        ("x86_64-6.12-4level", "EM_X86_64", [5, 11, 16, 29], 0x2C22000, 0xBFE57000),
        ("arm64-6.12-4K-48bit", "EM_AARCH64", [6, 13, 20, 36], 0x405B6000, 0xFF9E0000),
        ("riscv64-6.12-sv57", "EM_RISCV", [4, 12, 12, 31], 0x81FCA000, 0x13DDEE000),
    ],
)
def test_a_captured_core_has_its_machine_its_memory_and_its_kernel(
    capture: str, machine: str, counts: list[int], first: int, end: int
) -> None:
    cores = [open_core(path) for path in sorted((CAPTURES / capture).glob("*.core.xz"))]
    assert [len(core.segments) for core in cores] == counts
    for core in cores:
        assert (core.machine, core.byte_order) == (machine, "little")
        assert (core.segments[0].physical, core.segments[-1].end) == (first, end)
        assert all(core.data(each).size == each.size == each.file_size for each in core.segments)
        assert [(note.name, note.type) for note in core.notes] == [("VMCOREINFO", 0)]
        assert core.vmcoreinfo is not None
        assert core.vmcoreinfo.osrelease.startswith("6.12.107")


def test_a_segment_has_the_bytes_of_its_physical_memory() -> None:
    core = open_core(CAPTURES / "x86_64-6.12-4level" / "2-optimised-1G.core.xz")
    (segment,) = (each for each in core.segments if each.physical <= 0xBFE56000 < each.end)
    table = core.data(segment)[0xBFE56000 - segment.physical :].view("<u8")
    # The table entry for vmemmap that capture.json reports with the folios of this kernel.
    assert 0xBFE55067 in table


# Written cores


@st.composite
def memories(draw: st.DrawFn) -> list[Memory]:
    """Ranges that do not overlap, in any order, some with fewer bytes in the file than in memory."""
    result, physical = [], draw(st.integers(0, 2**40))
    for data in draw(st.lists(st.binary(max_size=100), min_size=1, max_size=6)):
        size = len(data) + draw(st.sampled_from([1, 4096, 2**30]))
        result.append(Memory(physical, data, size, draw(st.integers(0, 2**64 - 1))))
        physical += size + draw(st.integers(0, 2**20))
    return draw(st.permutations(result))


NOTES = st.builds(
    CoreNote,
    st.sampled_from(["CORE", "QEMU", "LINUX", "", "VMCOREINFO_XEN"]),
    st.integers(1, 2**32 - 1),
    st.binary(max_size=60),
)


@pytest.mark.slow
@given(
    memory=memories(),
    notes=st.lists(NOTES, max_size=4).map(tuple),
    byte_order=st.sampled_from(["little", "big"]),
    machine=st.integers(0, 0xFFFF),
    extended=st.booleans(),
)
def test_a_written_core_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    memory: list[Memory],
    notes: tuple[CoreNote, ...],
    byte_order: ByteOrder,
    machine: int,
    extended: bool,
) -> None:
    content = write_core(memory, notes, byte_order, machine=machine, extended=extended)
    core = opened(tmp_path_factory.getbasetemp(), content)
    expected = sorted(memory, key=lambda each: each.physical)
    read = [Memory(each.physical, core.data(each).tobytes(), each.size, each.virtual) for each in core.segments]
    assert read == expected
    assert core.notes == notes
    assert (core.byte_order, core.vmcoreinfo) == (byte_order, None)


def test_the_vmcoreinfo_note_is_parsed_and_qemus_notes_are_kept_raw(tmp_path: Path) -> None:
    notes = (CoreNote("CORE", 1, b"prstatus"), CoreNote("QEMU", 0, b"\1\0\0\0"), CoreNote("VMCOREINFO", 0, VMCOREINFO))
    core = opened(tmp_path, write_core([page(0)], notes))
    assert core.notes == notes
    assert core.vmcoreinfo is not None
    assert core.vmcoreinfo.osrelease == "6.12.0"


def states(core: CoreFile, *pfns: int) -> list[int]:
    return list(core.frames(12).states(np.array(pfns)).tolist())


def test_the_kernel_image_that_kdump_writes_twice_is_read_once(tmp_path: Path) -> None:
    whole = Memory(0x1000, bytes(range(256)) * 32, 0x4000)
    image = Memory(0x2000, whole.data[0x1000:], 0x2000, virtual=0xFFFFFFFF81000000)
    core = opened(tmp_path, write_core([image, whole]))
    assert states(core, 0, 1, 2, 3, 4, 5) == [
        FrameState.ABSENT,
        FrameState.SAVED,
        FrameState.SAVED,
        *[FrameState.NOT_SAVED] * 2,
        FrameState.ABSENT,
    ]
    assert core.frames(12).read(np.array([2]), 4096).tobytes() == whole.data[0x1000:]


@pytest.mark.parametrize("cut", [0x800, 0x1000, 0x1FFF])
def test_segments_that_agree_are_merged_whatever_their_cut(tmp_path: Path, cut: int) -> None:
    data = os.urandom(0x4000)
    parts = [Memory(0x1000, data[: cut + 0x1000], cut + 0x1000), Memory(0x1000 + cut, data[cut:], 0x4000 - cut)]
    core = opened(tmp_path, write_core(parts))
    assert states(core, 1, 2, 3, 4) == [FrameState.SAVED] * 4
    assert core.frames(12).read(np.arange(1, 5), 4096).tobytes() == data


def test_bytes_beyond_those_in_the_file_are_not_known_to_be_zero(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([Memory(0, bytes(4096 + 100), 0x4000)]))
    assert states(core, 0, 1, 2, 3) == [FrameState.SAVED, *[FrameState.NOT_SAVED] * 3]


def test_a_segment_without_a_pa_is_left_out(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([page(0x1000), page(2**64 - 1)]))
    assert core.ranges == ((0x1000, 0x2000),)
    assert core.warnings == ("segments without a PA, left out: 1",)


def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    core = opened(tmp_path, GOOD[:-1])
    assert states(core, 1, 5) == [FrameState.SAVED, FrameState.NOT_SAVED]
    (text,) = core.warnings
    assert text.endswith("0x1 bytes of memory are missing")


def test_holes_of_a_sparse_file_are_known_to_be_zero(tmp_path: Path) -> None:
    path = tmp_path / "sparse.core"
    content = write_core([Memory(0x1000, b"\xab" * 4096, 1 << 30)])
    size = (1 << 20) + 5
    path.write_bytes(patched(content, 64 + 56 + 32, struct.pack("<Q", size)))
    os.truncate(path, len(content) - 4096 + size)
    core = open_core(path)
    assert states(core, 1, 200, 255, 257) == [FrameState.SAVED, FrameState.ZERO, FrameState.ZERO, FrameState.NOT_SAVED]
    assert not core.frames(12).read(np.array([200]), 4096).any()


def test_the_offset_of_a_segment_without_bytes_is_not_checked(tmp_path: Path) -> None:
    content = patched(write_core([Memory(0, b"", 4096)]), 64 + 56 + 8, b"\xff" * 8)  # QEMU writes -1
    core = opened(tmp_path, content)
    assert core.data(core.segments[0]).size == 0
    assert core.segments[0].size == 4096


# Compression


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


COMPRESSIONS = pytest.mark.parametrize(
    "compress", [lzma.compress, gzip.compress, bz2.compress, zstd, lz4.frame.compress]
)


@COMPRESSIONS
def test_compression_is_recognized_by_its_bytes_whatever_the_name(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    content = write_core([page(0x1000), Memory(0x10000, os.urandom(70000), 1 << 20)])
    core = opened(tmp_path, compress(content), "core.elf")
    assert core.data(core.segments[1]).tobytes() == content[-70000:]


@COMPRESSIONS
def test_a_file_of_several_streams_is_one_core(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    content = write_core([page(0x1000), page(0x5000, 0xCD)])
    joined = compress(content[:100]) + bytes(8) + compress(content[100:5000]) + compress(content[5000:]) + bytes(4)
    assert opened(tmp_path, joined).data(opened(tmp_path, joined).segments[1]).tobytes() == b"\xcd" * 4096


def test_skippable_frames_of_zstd_are_skipped(tmp_path: Path) -> None:
    frame = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    assert len(opened(tmp_path, frame + zstd(write_core([page(0)])) + frame).segments) == 1


@COMPRESSIONS
def test_a_compressed_file_that_is_truncated_is_read_as_far_as_it_goes(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    data, path = os.urandom(9000), tmp_path / "a.core"
    content = write_core([Memory(0, data, 9000)])
    path.write_bytes(compress(content[:6000]) + compress(content[6000:])[:-1])
    dump = open_dump(path)
    assert dump.frames(12).states(np.arange(4)).tolist()[::2] == [FrameState.SAVED, FrameState.NOT_SAVED]
    assert dump.frames(12).read(np.array([0]), 4096).tobytes() == data[:4096]
    assert "data is cut short after" in dump.warnings[-1]
    assert dump.remedy == CUT_SHORT
    # of eight bytes, nothing can be unpacked
    assert "is cut short" in refusal(tmp_path, compress(content)[:8]).what


@COMPRESSIONS
def test_garbage_after_compressed_data_is_refused(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    assert "something else follows" in refusal(tmp_path, compress(write_core([page(0)])) + b"garbage").what


@COMPRESSIONS
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(write_core([Memory(0, random.Random(1).randbytes(9000), 9000)]))
    middle = len(whole) // 2
    damaged = patched(whole, middle, bytes(byte ^ 0xFF for byte in whole[middle : middle + 4]))
    if compress in {zstd, lz4.frame.compress}:  # without a checksum, damage shows only where the format breaks
        damaged = patched(whole, 4, b"\xff")
    assert "cannot be unpacked" in refusal(tmp_path, damaged).what


@COMPRESSIONS
def test_a_decompression_bomb_stops_at_the_limit(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(compress(bytes(16 << 20)))
    with pytest.raises(CoreFileError, match="unpacks to more than 1048576 bytes"):
        open_core(path, max_size=1 << 20)


# Refusals


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (patched(GOOD, 64 + 56 + 40, b"\1\0"), "segment 1 has 0x1000 bytes in the file for 0x1 of memory"),
        (patched(GOOD, 64 + 56 + 24, b"\xfe" + b"\xff" * 7), "segment 1 has 0x1000 bytes"),
        (write_core([]), "the core holds no memory"),
        (write_core([page(0x1000, 1), page(0x1000, 2)]), "two segments overlap and disagree: PA 0x1000-0x2000"),
        (write_core([page(0x1000), Memory(0x1800, b"\xac" * 2048, 4096)]), "two segments overlap and disagree"),
    ],
)
def test_impossible_segments_and_differing_notes_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(CoreFileError, match=complaint):
        opened(tmp_path, content)
    assert refusal(tmp_path, content).what


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, complaint in [("", "not a regular file"), ("pipe", "not a regular file"), ("none", "cannot be opened")]:
        with pytest.raises(CoreFileError, match=complaint):
            open_core(tmp_path / name)
    with pytest.raises(CoreFileError, match="cannot be opened"):
        open_core("a\0b")


def test_a_segment_of_exabytes_takes_no_memory(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([Memory(0, b"data", 2**62)]))
    assert core.segments == (CoreSegment(0, 0, 2**62, core.segments[0].offset, 4),)
    assert core.data(core.segments[0]).tobytes() == b"data"


# Damage at random


def damaged_copies(count: int) -> Iterator[bytes]:
    """Return truncated and garbled copies of a real core, mostly in its headers and notes, and of its xz file."""
    chance = random.Random(20240612)
    compressed = SMALLEST.read_bytes()
    plain = lzma.decompress(compressed)
    described = 0x3F8 + 0xCC4  # where its program headers and notes end
    for number in range(count):
        source, interesting = [(plain, described), (plain, 0x3F8), (plain, 64), (compressed, len(compressed))][
            number % 4
        ]
        copy = bytearray(source)
        if number % 5 == 0:
            del copy[chance.choice([chance.randrange(interesting), chance.randrange(len(source))]) :]
        for _ in range(chance.choice([1, 1, 2, 8])):
            place = chance.randrange(min(interesting, len(copy)) or 1)
            # extremes, types of ELF, one flipped bit
            original = copy[place] if copy else 0
            value = chance.choice(
                [0, 1, 2, 4, 0x7F, 0x80, 0xFF, original ^ (1 << chance.randrange(8)), chance.randrange(256)]
            )
            copy[place : place + 1] = bytes([value]) * chance.choice([1, 1, 2, 8])
        yield bytes(copy)


@pytest.mark.slow
def test_two_thousand_damaged_cores_open_or_are_refused_and_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "damaged.core"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {"opened": 0, "refused": 0}
    for copy in damaged_copies(2000):
        path.unlink(missing_ok=True)
        path.write_bytes(copy)
        try:
            core = open_core(path)
        except CoreFileError as error:
            assert str(path) in error.where  # noqa: PT017 - some copies are still cores
            outcomes["refused"] += 1
        else:
            assert all(core.data(segment).size == segment.file_size for segment in core.segments)
            outcomes["opened"] += 1
    assert min(outcomes.values()) > 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10  # KiB
