"""LZ4's legacy frame, the only LZ4 format that the kernel unpacks itself.

Kernel: lib/decompress_unlz4.c, v6.12; the frame is described in LZ4's doc/lz4_Frame_format.md, "Legacy frame".
"""

from __future__ import annotations

import mmap
from collections.abc import Generator
from typing import Final

from hvolab_vmlinux.errors import missing_library

#: First bytes of a frame: 0x184c2102.
MAGIC: Final = b"\x02\x21\x4c\x18"
#: Largest unpacked size of a block.
_BLOCK: Final = 8 << 20
_WORD: Final = 4


def lz4_blocks(content: bytes | mmap.mmap, position: int) -> Generator[bytes, None, int]:
    """Unpack the blocks of the frame that starts at `position`, and return the position after it.

    The frame has no end mark. Four bytes or fewer at the end are not a block: builds append the unpacked size.
    Raises EOFError where a block is cut short, ValueError where one is damaged, HvolabError without the package lz4.
    """
    try:
        import lz4.block  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("lz4", "unpacking LZ4") from error
    position += len(MAGIC)
    while len(content) - position > _WORD:
        size = int.from_bytes(content[position : position + _WORD], "little")
        position += _WORD
        if size == int.from_bytes(MAGIC, "little"):
            continue
        if position + size > len(content):
            raise EOFError
        try:
            yield lz4.block.decompress(content[position : position + size], uncompressed_size=_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise ValueError(str(error)) from error
        position += size
    return position
