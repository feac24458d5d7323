"""The file format of lzop, in which kernel builds store LZO data.

Kernel: lib/decompress_unlzo.c, v6.12; the flags are those of lzop's src/conf.h.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Generator
from typing import Final

from hvolab_vmlinux.errors import missing_library

#: First bytes of a file.
MAGIC: Final = b"\x89LZO\0\r\n\x1a\n"
#: First version whose header has three more fields.
_EXTENDED: Final = 0x0940
#: Flags: checksums of a block's unpacked and packed bytes, and the filter field of the header.
_ADLER_UNPACKED, _ADLER_PACKED, _CRC_UNPACKED, _CRC_PACKED, _FILTER = 0x1, 0x2, 0x100, 0x200, 0x800
#: Largest unpacked size of a block: lzop writes 256 KiB.
_BLOCK: Final = 1 << 20


def lzo_blocks(content: bytes | mmap.mmap, position: int) -> Generator[bytes, None, int]:
    """Unpack the blocks of the file that starts at `position`, and return the position after it.

    Raises EOFError where the file is cut short, ValueError where it is damaged, HvolabError without lzallright.
    """
    try:
        from lzallright import LZOCompressor, LZOError  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("lzallright", "unpacking LZO") from error
    flags, position = _header(content, position)
    while size := _number(content, position):
        packed = _number(content, position + 4)
        if size > _BLOCK or packed > size:
            raise ValueError(f"a block of {size} bytes is packed in {packed}")
        adler = _number(content, position + 8) if flags & _ADLER_UNPACKED else None
        position += 8 + 4 * _count(flags, _ADLER_UNPACKED, _CRC_UNPACKED)
        if packed < size:
            position += 4 * _count(flags, _ADLER_PACKED, _CRC_PACKED)
        block = content[position : position + packed]
        if len(block) < packed:
            raise EOFError
        if packed < size:
            try:
                block = LZOCompressor.decompress(block, size)
            except LZOError as error:
                raise ValueError(f"a block is not LZO: {error}") from error
        if len(block) != size or (adler is not None and zlib.adler32(block) != adler):
            raise ValueError("a block does not have the length and checksum of its header")
        yield block
        position += packed
    return position + 4


def _count(flags: int, *wanted: int) -> int:
    return sum(bool(flags & flag) for flag in wanted)


def _number(content: bytes | mmap.mmap, position: int, size: int = 4) -> int:
    data = content[position : position + size]
    if len(data) < size:
        raise EOFError
    return int.from_bytes(data, "big")


def _header(content: bytes | mmap.mmap, position: int) -> tuple[int, int]:
    """Return the flags of the file, and the position of its first block."""
    position += len(MAGIC)
    extended = _number(content, position, 2) >= _EXTENDED
    # version of the library and of the lowest version that can unpack it, method, level
    position += 8 if extended else 5
    flags = _number(content, position)
    # flags, filter, mode, time (in two words)
    position += 4 * (3 + bool(flags & _FILTER) + extended)
    return flags, position + 1 + _number(content, position, 1) + 4
