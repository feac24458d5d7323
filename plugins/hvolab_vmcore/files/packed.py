# SPDX-License-Identifier: GPL-2.0-only
"""Compressed pages of dumps, each unpacked by itself. No page takes more memory than its unpacked size."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

import zstandard

from hvolab_vmlinux.errors import missing_library

#: Unpacks a page: takes its packed bytes, its size, and the bytes needed from its start; returns at least these.
#: Raises ValueError for damaged data, HvolabError where a library is not installed.
Unpacker = Callable[[bytes, int, int], bytes]


def unpack_zlib(data: bytes, size: int, needed: int) -> bytes:
    """Unpack zlib's format, as far as needed."""
    del size
    try:
        return zlib.decompressobj().decompress(data, needed)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def unpack_lzo(data: bytes, size: int, needed: int) -> bytes:
    """Unpack a block of LZO1X."""
    del needed
    try:
        from lzallright import LZOCompressor, LZOError  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("lzallright", "unpacking LZO", extra="dumps") from error
    try:
        found = bytes(LZOCompressor.decompress(data, size))
    except LZOError as error:
        raise ValueError(str(error)) from error
    if len(found) > size:
        raise ValueError(f"the block unpacks to {len(found)} bytes, more than {size}")
    return found


def unpack_snappy(data: bytes, size: int, needed: int) -> bytes:
    """Unpack a raw block of snappy. Source: snappy's format_description.txt."""
    del needed
    try:
        import cramjam  # noqa: PLC0415 - optional, and only for this compression
    except ImportError as error:
        raise missing_library("cramjam", "unpacking snappy", extra="dumps") from error
    try:
        claimed = cramjam.snappy.decompress_raw_len(data)
        if claimed > size:
            raise ValueError(f"the block unpacks to {claimed} bytes, more than {size}")
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise ValueError(str(error)) from error


@cache
def _zstd() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 27)


def unpack_zstd(data: bytes, size: int, needed: int) -> bytes:
    """Unpack a frame of zstd."""
    del needed
    try:
        claimed = zstandard.frame_content_size(data)
        if claimed > size:
            raise ValueError(f"the frame unpacks to {claimed} bytes, more than {size}")
        return _zstd().decompress(data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
