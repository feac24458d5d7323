"""The compressions that kernels come in: which one it is, by the first bytes, and the bytes that it holds.

A stream may be followed by other bytes, which are left alone: builds append the unpacked size to most of them.
Kernel: scripts/Makefile.lib and lib/decompress*.c, v6.12.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import zstandard

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.lz4_legacy import MAGIC as LZ4_MAGIC
from hvolab_vmlinux.lz4_legacy import lz4_blocks
from hvolab_vmlinux.lzop import MAGIC as LZO_MAGIC
from hvolab_vmlinux.lzop import lzo_blocks

#: No kernel is unpacked beyond this: the largest known have less than a tenth of it.
LARGEST_CONTENT: Final = 1 << 30
#: Memory that an xz or lzma dictionary, or a zstd window, may ask for: the kernel's builds use 128 MiB at most.
_MEMORY: Final = 256 << 20
#: Bytes fed to a decompressor at once, which bounds what one call can give.
_PIECE: Final = 4096


class _Decompressor(Protocol):
    """What the decompressors of zlib, bz2, lzma and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    """One compression: its name, the first bytes of its streams, and what gives the pieces that a stream unpacks to."""

    name: str
    magics: tuple[bytes, ...]
    pieces: Callable[[bytes], Iterator[bytes]]


def _by(begin: Callable[[], _Decompressor]) -> Callable[[bytes], Iterator[bytes]]:
    """The pieces that a decompressor gives for a stream, up to its end mark."""

    def pieces(stream: bytes) -> Iterator[bytes]:
        decompressor = begin()
        for start in range(0, len(stream), _PIECE):
            yield decompressor.decompress(stream[start : start + _PIECE])
            if decompressor.eof:
                return
        raise EOFError

    return pieces


COMPRESSIONS: Final = (
    Compression("gzip", (b"\x1f\x8b\x08",), _by(lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS))),
    Compression("xz", (b"\xfd7zXZ\0",), _by(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY))),
    Compression("lzma", (b"\x5d\0\0",), _by(lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY))),
    Compression("bzip2", (b"BZh",), _by(bz2.BZ2Decompressor)),
    Compression(
        "zstd",
        (b"\x28\xb5\x2f\xfd",),
        _by(lambda: zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj()),
    ),
    Compression("lz4", (LZ4_MAGIC,), lz4_blocks),
    Compression("lzo", (LZO_MAGIC,), lzo_blocks),
)

# MemoryError: liblzma could not get the dictionary asked for; ValueError: lz4 and lzo, whose libraries' errors differ
_DAMAGE = (lzma.LZMAError, zlib.error, zstandard.ZstdError, OSError, MemoryError, ValueError)


def compression_of(content: bytes) -> Compression | None:
    """The compression whose streams begin as `content` does, or None."""
    return next((known for known in COMPRESSIONS if content.startswith(known.magics)), None)


def unpacked(stream: bytes, compression: Compression, where: str, *, limit: int = LARGEST_CONTENT) -> bytes:
    """What the stream holds.

    Raises KernelImageError for a stream that is damaged, cut short, or holds more than `limit` bytes.
    """
    found = bytearray()
    name = compression.name
    try:
        for part in compression.pieces(stream):
            found += part
            if len(found) > limit:
                raise KernelImageError(
                    f"the {name} data unpacks to more than {limit} bytes",
                    where=where,
                    rule="hvolab's limit on the size of a kernel",
                    hint="if this is really a kernel of that size, unpack it and name the unpacked file",
                )
    except EOFError as error:
        raise KernelImageError(
            f"the {name} data ends too early, after {len(stream)} bytes",
            where=where,
            rule=f"a {name} stream ends with its own end mark",
            hint="copy or fetch the file again: this copy is cut short",
        ) from error
    except _DAMAGE as error:
        raise KernelImageError(
            f"the {name} data cannot be unpacked: {error or type(error).__name__}",
            where=where,
            rule=f"the {name} format, read with at most {_MEMORY >> 20} MiB for its dictionary",
            hint="copy or fetch the file again: this copy is damaged",
        ) from error
    return bytes(found)
