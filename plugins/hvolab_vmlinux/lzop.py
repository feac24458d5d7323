"""The file format of lzop, in which the kernel's builds put LZO data.

Kernel: lib/decompress_unlzo.c, v6.12; the flags are those of lzop's src/conf.h.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from hvolab_vmlinux.errors import missing_library

#: First bytes of a file.
MAGIC: Final = b"\x89LZO\0\r\n\x1a\n"
#: Since this version a header has three fields more.
_EXTENDED: Final = 0x0940
#: Flags: which checksums a block has, of what it unpacks to and of what is packed, and the filter field of the header.
_ADLER_UNPACKED, _ADLER_PACKED, _CRC_UNPACKED, _CRC_PACKED, _FILTER = 0x1, 0x2, 0x100, 0x200, 0x800
#: Bytes that a block holds at most: lzop writes 256 KiB.
_BLOCK: Final = 1 << 20


def lzo_blocks(stream: bytes) -> Iterator[bytes]:
    """What each block holds.

    Raises EOFError where the file is cut short, ValueError where it is damaged, HvolabError without lzallright.
    """
    try:
        from lzallright import LZOCompressor, LZOError  # noqa: PLC0415 - optional, and only for kernels packed so
    except ImportError as error:
        raise missing_library("lzallright", "unpacking LZO") from error
    flags, position = _header(stream)
    while True:
        size = _word(stream, position)
        if size == 0:
            return
        packed = _word(stream, position + 4)
        if size > _BLOCK or packed > size:
            raise ValueError(f"a block of {packed} bytes is said to hold {size}")
        adler = _word(stream, position + 8) if flags & _ADLER_UNPACKED else None
        position += 8 + 4 * _count(flags, _ADLER_UNPACKED, _CRC_UNPACKED)
        if packed < size:
            position += 4 * _count(flags, _ADLER_PACKED, _CRC_PACKED)
        block = stream[position : position + packed]
        if len(block) < packed:
            raise EOFError
        if packed < size:
            try:
                block = LZOCompressor.decompress(block, size)
            except LZOError as error:
                raise ValueError(f"a block is not LZO: {error}") from error
        if len(block) != size or (adler is not None and zlib.adler32(block) != adler):
            raise ValueError("a block does not hold what its length and checksum say")
        yield block
        position += packed


def _count(flags: int, *wanted: int) -> int:
    return sum(bool(flags & flag) for flag in wanted)


def _word(stream: bytes, position: int) -> int:
    found = stream[position : position + 4]
    if len(found) < 4:
        raise EOFError
    return int.from_bytes(found, "big")


def _header(stream: bytes) -> tuple[int, int]:
    """Flags of the file, and where its first block begins."""
    try:
        (version,) = struct.unpack_from(">H", stream, len(MAGIC))
        extended = version >= _EXTENDED
        # version of the library and of what can unpack it, method, level
        position = len(MAGIC) + (8 if extended else 5)
        (flags,) = struct.unpack_from(">I", stream, position)
        # flags, filter, mode, time (in two words)
        position += 4 * (3 + bool(flags & _FILTER) + extended)
        (name_length,) = struct.unpack_from(">B", stream, position)
    except struct.error as error:
        raise EOFError from error
    return flags, position + 1 + name_length + 4
