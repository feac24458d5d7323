"""LZ4's legacy frame, the one form of LZ4 that the kernel unpacks itself.

Kernel: lib/decompress_unlz4.c, v6.12; the frame is described in LZ4's doc/lz4_Frame_format.md, "Legacy frame".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hvolab_vmlinux.errors import missing_library

#: First bytes of a frame: 0x184c2102.
MAGIC: Final = b"\x02\x21\x4c\x18"
#: Bytes that a block holds at most.
_BLOCK: Final = 8 << 20
_WORD: Final = 4


def lz4_blocks(stream: bytes) -> Iterator[bytes]:
    """What each block holds. Four bytes or fewer at the end are no block: builds append the unpacked size.

    Raises EOFError where a block is cut short, ValueError where one is damaged, HvolabError without the package lz4.
    """
    try:
        import lz4.block  # noqa: PLC0415 - optional, and only for kernels packed so
    except ImportError as error:
        raise missing_library("lz4", "unpacking LZ4") from error
    position = len(MAGIC)
    while len(stream) - position > _WORD:
        size = int.from_bytes(stream[position : position + _WORD], "little")
        position += _WORD
        if size == int.from_bytes(MAGIC, "little"):
            continue
        if position + size > len(stream):
            raise EOFError
        try:
            yield lz4.block.decompress(stream[position : position + size], uncompressed_size=_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise ValueError(str(error)) from error
        position += size
