"""Files of lzop: blocks, checksums, stored blocks, headers of old versions."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from hvolab_vmlinux.containers.lzop import MAGIC, lzo_blocks
from tests.plugins.hvolab_vmlinux.packers import lzo_packed

CONTENT = random.Random(1).randbytes(1 << 17) + bytes(100_000)  # a block that cannot be packed, and one that can


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
    first = packed.index(struct.pack(">I", 1 << 17), len(MAGIC))
    changed = bytearray(packed)
    changed[first + 8] ^= 1
    with pytest.raises(ValueError, match="length and checksum"):
        list(lzo_blocks(bytes(changed), 0))
    changed = bytearray(packed)
    changed[first] = 1
    with pytest.raises(ValueError, match="a block of 16908288 bytes is packed in"):
        list(lzo_blocks(bytes(changed), 0))


def test_a_header_of_an_old_version_is_shorter() -> None:
    header = MAGIC + struct.pack(">HHBIIIB", 0x0900, 0x0900, 1, 0, 0, 0, 0) + bytes(4)
    assert list(lzo_blocks(header + struct.pack(">II", 3, 3) + b"abc" + bytes(4), 0)) == [b"abc"]


@pytest.mark.parametrize("length", [9, 15, 40, -1])
def test_a_file_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(EOFError):
        list(lzo_blocks(lzo_packed(CONTENT)[:length], 0))
