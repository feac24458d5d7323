# SPDX-License-Identifier: GPL-2.0-only
"""Compressions of kernel images and memory cores, recognized by their first bytes.

The file of a core may have several streams, with zero bytes between and after them. An image is one stream; the bytes
after it are ignored, since most builds append the unpacked size.
Kernel: scripts/Makefile.lib and lib/decompress*.c, v6.12.
"""

from __future__ import annotations

import bz2
import lzma
import mmap
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from hvolab.errors import HvolabError
from hvolab_vmlinux.containers.blocks import (
    LZ4_FRAME_MAGIC,
    LZ4_MAGIC,
    LZO_MAGIC,
    Content,
    Pieces,
    lz4_blocks,
    lz4_decompressor,
    lzo_blocks,
)
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.image import read_only

#: Limit of a kernel's unpacked size: the largest known kernels have less than a tenth of it.
LARGEST_KERNEL: Final = 1 << 30
#: Limit of the memory for an xz or lzma dictionary or a zstd window: `xz -9` and `zstd --ultra -22` need a quarter.
DICTIONARY_LIMIT: Final = 512 << 20
#: Bytes passed to a decompressor at once. This bounds the output of a call: zstd makes at most 128 KiB of 4 bytes.
_CHUNK: Final = 4096
_FIRST_SIZE: Final = 1 << 20
_ZEROS: Final = re.compile(rb"\0*")


@dataclass(frozen=True)
class Compression:
    """A compression.

    name    name as its command has it
    magics  first bytes of its streams
    pieces  unpacks the stream that starts at a position of the content
    """

    name: str
    magics: tuple[bytes, ...]
    pieces: Callable[[Content, int], Pieces]


def _chunked(create: Callable[[], Any]) -> Callable[[Content, int], Pieces]:
    """Return a function that unpacks a stream, up to its end mark, with a new decompressor of a library."""

    def pieces(content: Content, position: int) -> Pieces:
        decompressor = create()
        while position < len(content):
            chunk = content[position : position + _CHUNK]
            position += len(chunk)
            yield decompressor.decompress(chunk)
            if decompressor.eof:
                return position - len(decompressor.unused_data or b"")
        raise EOFError

    return pieces


def _lzma(container: int) -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(container, memlimit=DICTIONARY_LIMIT)


#: Magics of zstd's skippable frames, which seekable and parallel zstd write next to their data.
_SKIPPABLE: Final = tuple(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))
COMPRESSIONS: Final = (
    Compression("gzip", (b"\x1f\x8b\x08",), _chunked(lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS))),
    Compression("xz", (b"\xfd7zXZ\0",), _chunked(lambda: _lzma(lzma.FORMAT_XZ))),
    Compression("lzma", (b"\x5d\0\0",), _chunked(lambda: _lzma(lzma.FORMAT_ALONE))),
    Compression("bzip2", (b"BZh",), _chunked(bz2.BZ2Decompressor)),
    Compression(
        "zstd",
        (b"\x28\xb5\x2f\xfd", *_SKIPPABLE),
        _chunked(lambda: zstandard.ZstdDecompressor(max_window_size=DICTIONARY_LIMIT).decompressobj()),
    ),
    Compression("lz4", (LZ4_MAGIC,), lz4_blocks),
    Compression("lz4", (LZ4_FRAME_MAGIC,), _chunked(lz4_decompressor)),
    Compression("lzo", (LZO_MAGIC,), lzo_blocks),
)
_LONGEST_MAGIC: Final = max(len(magic) for one in COMPRESSIONS for magic in one.magics)

# MemoryError: liblzma could not allocate the dictionary; ValueError: lz4 and lzo, whose libraries' errors differ;
# RuntimeError: frames of lz4
_DAMAGE = (lzma.LZMAError, zlib.error, zstandard.ZstdError, OSError, MemoryError, ValueError, RuntimeError)


class _GrowingMemory:
    """Anonymous memory to which bytes are appended. Pages of zero bytes, the most of a core, stay untouched."""

    def __init__(self) -> None:
        self.size = 0
        self._memory = mmap.mmap(-1, _FIRST_SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def append(self, piece: bytes) -> None:
        """Append `piece`; raises MemoryError where the computer has no memory for it."""
        end = self.size + len(piece)
        if end > len(self._memory):
            try:
                self._memory.resize(max(end, 2 * len(self._memory)))
            except OSError as error:
                raise MemoryError(f"no memory for the unpacked data: {error}") from error
        if piece != bytes(len(piece)):
            self._memory[self.size : end] = piece
        self.size = end

    def content(self) -> NDArray[np.uint8]:
        """Return a read-only view of all bytes appended."""
        return read_only(np.frombuffer(self._memory, np.uint8, self.size))


def compression_of(content: Content, position: int = 0) -> Compression | None:
    """Return the compression of the stream that starts at `position`, or None."""
    start = content[position : position + _LONGEST_MAGIC]
    return next((known for known in COMPRESSIONS if start.startswith(known.magics)), None)


def unpack(
    content: Content,
    compression: Compression,
    where: str,
    *,
    limit: int = LARGEST_KERNEL,
    all_streams: bool = False,
    error_type: type[HvolabError] = KernelImageError,
    on_cut: Callable[[str], None] | None = None,
) -> NDArray[np.uint8]:
    """Return the unpacked bytes as a read-only array.

    limit        largest unpacked size, in bytes
    all_streams  unpack all streams of the content, not only the first; only zero bytes may be between them
    on_cut       called with a sentence for data that is cut short, of which the part before the cut is returned
    Raises `error_type` for data that is damaged, cut short, or larger than `limit`; HvolabError where the Python
    package for lz4 or lzo is not installed.
    """
    memory = _GrowingMemory()
    name = compression.name
    try:
        for piece in _streams(content, compression) if all_streams else compression.pieces(content, 0):
            if memory.size + len(piece) > limit:
                raise error_type(
                    f"the {name} data unpacks to more than {limit} bytes",
                    where=where,
                    rule="hvolab's limit on unpacked sizes",
                    hint="if the file is meant to be that large, unpack it to disk and open that",
                )
            memory.append(piece)
    except EOFError as error:
        cut = f"the {name} data is cut short after {len(content)} bytes"
        if on_cut is not None and memory.size:
            on_cut(cut)
            return memory.content()
        raise error_type(
            cut,
            where=where,
            rule=f"a {name} stream ends with its own end mark",
            hint="copy or fetch the file again",
        ) from error
    except _DAMAGE as error:
        raise error_type(
            f"the {name} data cannot be unpacked: {error or type(error).__name__}",
            where=f"{where}, after {memory.size} unpacked bytes",
            rule=f"the {name} format, read with at most {DICTIONARY_LIMIT >> 20} MiB for its dictionary",
            hint="copy or fetch the file again, or unpack it to disk and open that",
        ) from error
    return memory.content()


def _streams(content: Content, compression: Compression) -> Iterator[bytes]:
    """Unpack all streams of the content; raises ValueError where anything but zero bytes is between them."""
    position = 0
    while position < len(content):
        if compression_of(content, position) is not compression:
            raise ValueError(f"something else follows at byte {position} of {len(content)}")
        position = yield from compression.pieces(content, position)
        zeros = _ZEROS.match(content, position)
        position = zeros.end() if zeros else position
