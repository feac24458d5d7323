# SPDX-License-Identifier: GPL-2.0-only
"""Compressed data in blocks: LZ4's legacy frame, and files of lzop, which kernel builds use for LZO.

Their libraries unpack a block. A block that is cut short raises EOFError, a damaged one ValueError, a library that is
not installed HvolabError.
Kernel: lib/decompress_unlz4.c, lib/decompress_unlzo.c, v6.12. Source: LZ4's doc/lz4_Frame_format.md, "Legacy frame";
lzop's src/conf.h, for the flags.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Generator
from typing import Any, Final, Literal

from hvolab_vmlinux.errors import missing_library

#: The bytes of a file.
Content = bytes | mmap.mmap
#: Unpacked pieces of one stream; the generator returns the position after the stream.
Pieces = Generator[bytes, None, int]

#: First bytes of a legacy frame: 0x184c2102.
LZ4_MAGIC: Final = b"\x02\x21\x4c\x18"
#: First bytes of the frame that the command lz4 writes: 0x184d2204.
LZ4_FRAME_MAGIC: Final = b"\x04\x22\x4d\x18"
#: Largest unpacked size of a block of LZ4.
_LZ4_BLOCK: Final = 8 << 20
#: First bytes of a file of lzop.
LZO_MAGIC: Final = b"\x89LZO\0\r\n\x1a\n"
#: First version of lzop whose header has three more fields.
_EXTENDED: Final = 0x0940
#: Flags: Adler-32 of each block's unpacked bytes, checksums of its unpacked and packed bytes, a filter in the header.
_ADLER, _UNPACKED_CHECKSUMS, _PACKED_CHECKSUMS, _FILTER = 0x1, 0x101, 0x202, 0x800
#: Largest unpacked size of a block of LZO: lzop writes 256 KiB.
_LZO_BLOCK: Final = 1 << 20


def lz4_blocks(content: Content, position: int) -> Pieces:
    """Unpack the blocks of the frame that starts at `position`.

    The frame has no end mark. Four bytes or fewer at the end are not a block: builds append the unpacked size.
    """
    try:
        import lz4.block  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("lz4", "unpacking LZ4") from error
    position += len(LZ4_MAGIC)
    while len(content) - position > 4:
        size = _number(content, position, "little")
        position += 4
        if size == int.from_bytes(LZ4_MAGIC, "little"):
            continue
        if not size:  # padding
            return position
        try:
            yield lz4.block.decompress(_piece(content, position, size), uncompressed_size=_LZ4_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise ValueError(str(error)) from error
        position += size
    return position


def lz4_decompressor() -> Any:
    """Return a decompressor of the frame that the command lz4 writes."""
    try:
        import lz4.frame  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("lz4", "unpacking LZ4") from error
    return lz4.frame.LZ4FrameDecompressor()


def lzo_blocks(content: Content, position: int) -> Pieces:
    """Unpack the blocks of the file that starts at `position`."""
    try:
        from lzallright import LZOCompressor, LZOError  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("lzallright", "unpacking LZO") from error
    flags, position = _lzo_header(content, position)
    while size := _number(content, position):
        packed = _number(content, position + 4)
        if size > _LZO_BLOCK or packed > size:
            raise ValueError(f"a block of {size} bytes is packed in {packed}")
        adler = _number(content, position + 8) if flags & _ADLER else None
        checksums = flags & (_UNPACKED_CHECKSUMS | (_PACKED_CHECKSUMS if packed < size else 0))
        position += 8 + 4 * checksums.bit_count()
        block = _piece(content, position, packed)
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


def _lzo_header(content: Content, position: int) -> tuple[int, int]:
    """Return the flags of the file, and the position of its first block."""
    position += len(LZO_MAGIC)
    extended = int.from_bytes(_piece(content, position, 2), "big") >= _EXTENDED
    # version of the library and of the lowest version that can unpack it, method, level
    position += 8 if extended else 5
    flags = _number(content, position)
    # flags, filter, mode, time (in two words)
    position += 4 * (3 + bool(flags & _FILTER) + extended)
    return flags, position + 1 + _piece(content, position, 1)[0] + 4


def _number(content: Content, position: int, order: Literal["little", "big"] = "big") -> int:
    return int.from_bytes(_piece(content, position, 4), order)


def _piece(content: Content, position: int, size: int) -> bytes:
    piece = content[position : position + size]
    if len(piece) < size:
        raise EOFError
    return piece
