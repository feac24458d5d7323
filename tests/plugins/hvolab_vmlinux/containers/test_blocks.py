# SPDX-License-Identifier: GPL-2.0-only
"""Blocks of LZ4's legacy frame and of lzop's files: several, stored, damaged, cut short; headers of old versions."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from hvolab_vmlinux.containers.blocks import LZ4_MAGIC, LZO_MAGIC, lz4_blocks, lzo_blocks
from tests.plugins.hvolab_vmlinux.packers import lz4_packed, lzo_packed

CONTENT = random.Random(1).randbytes(1 << 17) + bytes(100_000)  # a block that cannot be packed, and one that can
LONG = bytes(range(256)) * 40_000  # 10 MB: more than a block of LZ4


def test_packed_and_stored_blocks_are_unpacked_and_the_end_is_returned() -> None:
    packed = lzo_packed(CONTENT)

    def unpacked() -> Iterator[bytes]:
        end = yield from lzo_blocks(b"before" + packed + b"behind", 6)
        assert end == 6 + len(packed)
        yield b"all of it"

    pieces = list(unpacked())
    assert b"".join(pieces[:2]) == CONTENT
    assert pieces[2:] == [b"all of it"]


def test_a_wrong_checksum_and_an_impossible_size_are_refused() -> None:
    packed = lzo_packed(CONTENT)
    first = packed.index(struct.pack(">I", 1 << 17), len(LZO_MAGIC))
    changed = bytearray(packed)
    changed[first + 8] ^= 1
    with pytest.raises(ValueError, match="length and checksum"):
        list(lzo_blocks(bytes(changed), 0))
    changed = bytearray(packed)
    changed[first] = 1
    with pytest.raises(ValueError, match="a block of 16908288 bytes is packed in"):
        list(lzo_blocks(bytes(changed), 0))


def test_a_header_of_an_old_version_is_shorter() -> None:
    header = LZO_MAGIC + struct.pack(">HHBIIIB", 0x0900, 0x0900, 1, 0, 0, 0, 0) + bytes(4)
    assert list(lzo_blocks(header + struct.pack(">II", 3, 3) + b"abc" + bytes(4), 0)) == [b"abc"]


@pytest.mark.parametrize("length", [9, 15, 40, -1])
def test_a_file_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(EOFError):
        list(lzo_blocks(lzo_packed(CONTENT)[:length], 0))


def test_every_block_is_unpacked_and_the_size_at_the_end_is_none() -> None:
    packed = lz4_packed(LONG)
    pieces = list(lz4_blocks(b"before" + packed, 6))
    assert [len(one) for one in pieces] == [8 << 20, len(LONG) - (8 << 20)]
    assert b"".join(pieces) == LONG


def test_another_frame_that_follows_is_more_blocks() -> None:
    packed = lz4_packed(b"abc" * 100)[:-4]
    assert packed.startswith(LZ4_MAGIC)
    assert b"".join(lz4_blocks(packed * 2, 0)) == b"abc" * 200


def test_a_block_that_is_cut_short_or_damaged_is_refused() -> None:
    packed = lz4_packed(b"abc" * 1000)
    with pytest.raises(EOFError):
        list(lz4_blocks(packed[:12], 0))
    with pytest.raises(ValueError, match=r"Decompression failed"):
        list(lz4_blocks(packed[:8] + b"\xff" * (len(packed) - 8), 0))
