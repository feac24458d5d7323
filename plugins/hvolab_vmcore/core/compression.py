"""The bytes of a file as one array, decompressed where it is xz, gzip or zstd, which its first bytes tell.

A file that is not compressed is mapped read-only: it must not shrink while it is in use. A compressed one is unpacked
into private anonymous memory, of which only what is not zero is touched, since memory cores are mostly zero.
"""

from __future__ import annotations

import lzma
import mmap
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

from hvolab.errors import CoreFileError

#: Bytes fed to a decompressor at once. One call's output is bounded by this: zstd makes at most 128 KiB of 4 bytes.
PIECE_SIZE = 4096

#: Memory that the xz dictionary or the zstd window of a file may ask for: twice what `xz -9` and `zstd -22` need.
XZ_MEMORY = 512 << 20
ZSTD_WINDOW = 128 << 20

#: No file is unpacked beyond this unless the caller says so, nor beyond the physical memory of this computer.
LARGEST_CONTENT = 64 << 30

_FIRST_ROOM = 1 << 20


class _Decompressor(Protocol):
    """What the decompressors of zlib, lzma and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True)
class _Format:
    """A compression: its name, the first bytes of its streams, and how a stream is begun."""

    name: str
    magics: tuple[bytes, ...]
    begin: Callable[[], _Decompressor]


_FORMATS = (
    _Format("xz", (b"\xfd7zXZ\0",), lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)),
    _Format("gzip", (b"\x1f\x8b\x08",), lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)),
    _Format(
        "zstd",
        # The second kind is a skippable frame, such as seekable and parallel zstd put beside their data.
        (b"\x28\xb5\x2f\xfd", *(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))),
        lambda: zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj(),
    ),
)
_LONGEST_MAGIC = max(len(magic) for known in _FORMATS for magic in known.magics)

# MemoryError: liblzma could not get the dictionary that the file asks for.
_DAMAGE = (lzma.LZMAError, zlib.error, zstandard.ZstdError, MemoryError)


class _Room:
    """Anonymous memory that grows as bytes are appended to it."""

    def __init__(self) -> None:
        self.size = 0
        self._memory = mmap.mmap(-1, _FIRST_ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def append(self, piece: bytes) -> None:
        """Put `piece` at the end; OSError where the computer has no memory for it."""
        end = self.size + len(piece)
        if end > len(self._memory):
            self._memory.resize(max(end, 2 * len(self._memory)))
        if piece != bytes(len(piece)):
            self._memory[self.size : end] = piece
        self.size = end

    def content(self) -> NDArray[np.uint8]:
        """Read-only view of all bytes appended."""
        view = np.frombuffer(self._memory, dtype=np.uint8, count=self.size)
        view.flags.writeable = False
        return view


def read_content(path: Path, *, max_size: int | None = None) -> NDArray[np.uint8]:
    """Read-only array of the file's bytes, decompressed if need be.

    max_size: largest decompressed size in bytes; by default 64 GiB or this computer's memory, whichever is less.
    Raises CoreFileError for a file that is missing, empty, no regular file, damaged, cut short or too large.
    """
    source = _map_file(path)
    known = _format_of(source[:_LONGEST_MAGIC])
    if known is None:
        return np.frombuffer(source, dtype=np.uint8)
    return _decompress(path, source, known, _default_limit() if max_size is None else max_size)


def _default_limit() -> int:
    """What to unpack at most, in bytes: more than the computer's memory could not be held."""
    return min(LARGEST_CONTENT, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _format_of(start: bytes) -> _Format | None:
    """The compression whose streams begin like `start`."""
    return next((known for known in _FORMATS if start.startswith(known.magics)), None)


def _map_file(path: Path) -> mmap.mmap:
    """The file, mapped read-only."""
    try:
        status = path.stat()
        # Asked before opening: opening a FIFO would wait for a writer.
        if not stat.S_ISREG(status.st_mode):
            raise CoreFileError(
                "this is not a regular file",
                where=str(path),
                hint="name the core file itself, not a folder or device",
            )
        if status.st_size == 0:
            raise CoreFileError("the file is empty", where=str(path), hint="dump the memory again")
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path, or a file emptied since it was looked at
        raise CoreFileError(
            f"the file cannot be opened: {error}", where=repr(str(path)), hint="check the path and its permissions"
        ) from error


def _decompress(path: Path, source: mmap.mmap, known: _Format, limit: int) -> NDArray[np.uint8]:
    """All streams of a compressed file, one behind the other, unpacked."""
    room = _Room()
    stream = known.begin()
    position = 0
    while position < len(source):
        where = f"{path}, near byte {position} of the {known.name} file"
        piece = source[position : position + PIECE_SIZE]
        output = _unpack(stream, piece, known, where)
        if room.size + len(output) > limit:
            raise CoreFileError(
                f"the file unpacks to more than {limit} bytes",
                where=where,
                rule="hvolab's limit on decompressed sizes",
                hint="if this is really a core of that size, decompress it to disk and open that, or raise the limit",
            )
        _store(room, output, where)
        position += len(piece)
        if stream.eof:
            position = _skip_padding(source, position - len(stream.unused_data))
            if position == len(source):
                return room.content()
            stream = _next_stream(path, source, position, known)
    raise CoreFileError(
        f"the {known.name} file ends inside its compressed data",
        where=f"{path}, {len(source)} bytes, of which {room.size} were unpacked",
        rule=f"a {known.name} stream ends with its own end mark",
        hint="copy the file again: this copy is cut short",
    )


def _unpack(stream: _Decompressor, piece: bytes, known: _Format, where: str) -> bytes:
    """What the stream makes of its next piece."""
    try:
        return stream.decompress(piece)
    except _DAMAGE as error:
        raise CoreFileError(
            f"the {known.name} file cannot be unpacked: {error}",
            where=where,
            rule=f"the {known.name} format, read with {XZ_MEMORY >> 20} MiB for xz, {ZSTD_WINDOW >> 20} MiB for zstd",
            hint="copy the file again, or decompress it to disk and open that",
        ) from error


def _store(room: _Room, output: bytes, where: str) -> None:
    """Append, telling where it was if memory runs out."""
    try:
        room.append(output)
    except OSError as error:
        raise CoreFileError(
            f"there is no memory for the unpacked file: {error}",
            where=where,
            hint="decompress it to disk and open that: such a file is mapped, not read",
        ) from error


def _skip_padding(source: mmap.mmap, position: int) -> int:
    """Where the zero bytes that may follow a stream end."""
    while position < len(source):
        piece = source[position : position + PIECE_SIZE]
        rest = piece.lstrip(b"\0")
        position += len(piece) - len(rest)
        if rest:
            break
    return position


def _next_stream(path: Path, source: mmap.mmap, position: int, known: _Format) -> _Decompressor:
    """A decompressor for the stream that follows another in the same file."""
    if _format_of(source[position : position + _LONGEST_MAGIC]) is not known:
        raise CoreFileError(
            f"something else follows the {known.name} data",
            where=f"{path}, byte {position} of {len(source)}",
            rule=f"only further {known.name} streams and zero bytes may follow",
            hint="copy the file again, or cut off what follows",
        )
    return known.begin()
