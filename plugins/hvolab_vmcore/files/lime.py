# SPDX-License-Identifier: GPL-2.0-only
"""LiME's format, and AVML's: ranges of physical memory, each after a header; AVML packs them by snappy in frames.

Source: LiME's doc/README.md, "LiME format"; AVML's src/image.rs; snappy's framing_format.txt.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import Content, Ints, MappedContent, Octets
from hvolab_vmcore.files.dump import CUT_SHORT, Dump, DumpInput
from hvolab_vmcore.files.extents import DisagreementError, Extent, ExtentFrames, merged, within
from hvolab_vmcore.files.packed import unpack_snappy

#: magic, version, first PA, last PA, reserved.
_HEADER: Final = struct.Struct("<4sIQQ8x")
LIME: Final = (b"EMiL", 1)
AVML: Final = (b"AVML", 2)
#: After the frames of a range, AVML writes their bytes.
_COUNT_SIZE: Final = 8
#: Chunks of snappy's frames: type and bytes; those with data have a checksum of 4 bytes first.
_PACKED, _PLAIN, _SKIPPABLE, _START = 0, 1, 0x80, 0xFF
_CHUNK_HEADER: Final = 4
_CHECKSUM: Final = 4
#: Largest unpacked chunk.
_CHUNK: Final = 1 << 16
_KNOWN: Final = 16
#: Warning about a file that does not end where its last range does.
_CUT: Final = "the file is cut short or damaged after {:#x} bytes"


def read_lime(source: DumpInput) -> Dump | None:
    """Return the dump, None for a file of another format; raises CoreFileError for a damaged file."""
    content, path = source.content, source.path
    if content.read(0, 4) != LIME[0]:
        return None
    ranges, warnings, position = list[Extent](), list[str](), 0
    while position < content.size:
        found = _range(content, position, path, LIME)
        if found is None:
            break
        ranges.append(found)
        position = found.offset + found.end - found.start
    if position != content.size:
        warnings.append(_CUT.format(min(position, content.size)))
    try:
        whole = merged(within(ranges, content.size), content)
    except DisagreementError as error:
        raise _damaged("two ranges overlap and disagree", path, f"byte {error.args[1].offset:#x}") from error
    described = tuple(sorted((one.start, one.end) for one in ranges))
    return _dump(path, "LiME", described, partial(ExtentFrames, content, whole, described), warnings)


def _range(content: Content, position: int, path: Path, kind: tuple[bytes, int]) -> Extent | None:
    """Return the range whose header is at a position, None where the file has no header there.

    Raises CoreFileError where the first header is damaged: then nothing can be read.
    """
    header = content.read(position, _HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, number, start, last = _HEADER.unpack(header)
    if (magic, number) != kind or last < start:
        if position:
            return None
        what = f"a header has magic {magic!r}, version {number}, PA {start:#x} to {last:#x}"
        raise _damaged(what, path, f"byte {position:#x}")
    return Extent(start, last + 1, position + _HEADER.size)


def _dump(
    path: Path,
    name: str,
    ranges: tuple[tuple[int, int], ...],
    frames: partial[ExtentFrames] | partial[PackedFrames],
    warnings: Sequence[str],
) -> Dump:
    if not ranges:
        raise _damaged("the file describes no memory", path, "byte 0")
    return Dump(
        path, name, None, "little", ranges, frames, warnings=tuple(warnings), remedy=CUT_SHORT if warnings else ""
    )


def read_avml(source: DumpInput) -> Dump | None:
    """Return the dump, None for a file of another format; raises CoreFileError for a damaged file."""
    content, path = source.content, source.path
    if content.read(0, 4) != AVML[0]:
        return None
    ranges, chunks, warnings, position = list[Extent](), list[tuple[int, int, int, int, int]](), list[str](), 0
    while position < content.size:
        found = _range(content, position, path, AVML)
        if found is None:
            break
        ranges.append(found)
        position = found.offset
        for start, place, packed, size, kind in _chunks(content, found, path):
            chunks.append((start, start + size, place, packed, kind))
            position = place + packed
        if not chunks or chunks[-1][1] < found.end:
            position = content.size + 1
            break
        position += _COUNT_SIZE
    if position != content.size:
        warnings.append(_CUT.format(min(position, content.size)))
    described = tuple(sorted((one.start, one.end) for one in ranges))
    return _dump(path, "AVML", described, partial(PackedFrames, content, sorted(chunks), described, path), warnings)


def _chunks(content: Content, found: Extent, path: Path) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield PA, place and bytes of the packed data, unpacked bytes and type of each chunk of a range."""
    start, position = found.start, found.offset
    while start < found.end:
        header = content.read(position, _CHUNK_HEADER + _CHECKSUM + 5)
        kind, size = (header[0], int.from_bytes(header[1:4], "little")) if len(header) >= _CHUNK_HEADER else (0, 0)
        place = position + _CHUNK_HEADER
        if not header or place + size > content.size:
            return
        if kind in {_PACKED, _PLAIN}:
            unpacked = size - _CHECKSUM if kind == _PLAIN else _varint(header[_CHUNK_HEADER + _CHECKSUM :])
            if size <= _CHECKSUM or not 0 < unpacked <= _CHUNK or start + unpacked > found.end:
                raise _damaged(f"a chunk has {size} bytes, {unpacked} unpacked", path, f"byte {position:#x}")
            yield start, place + _CHECKSUM, size - _CHECKSUM, unpacked, kind
            start += unpacked
        elif kind < _SKIPPABLE:
            raise _damaged(f"a chunk has type {kind:#x}", path, f"byte {position:#x}")
        position = place + size


def _varint(data: bytes) -> int:
    """Return the number at the start of a raw block of snappy, -1 for one without an end."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < _SKIPPABLE:
            return value
    return -1


class PackedFrames:
    """Frames in packed chunks; a MemorySource.

    content  the file
    chunks   PA of the first byte, one past the last, place, bytes and type of each, in order of PA
    ranges   all memory that the file describes
    """

    def __init__(
        self,
        content: Content,
        chunks: Sequence[tuple[int, int, int, int, int]],
        ranges: Sequence[tuple[int, int]],
        path: Path,
        page_shift: int,
    ) -> None:
        self._content = content
        self._path = path
        self._shift = page_shift
        self._chunks = list(chunks)
        self._known: dict[int, bytes] = {}
        saved = merged_ranges([(start, end) for start, end, *_ in chunks])
        nowhere = MappedContent(np.empty(0, dtype=np.uint8))  # only PAs matter
        self._plan = ExtentFrames(nowhere, [Extent(start, end, 0) for start, end in saved], ranges, page_shift)
        self._starts = np.array([start >> 6 for start, *_ in chunks], dtype=np.int64)

    def states(self, pfns: Ints) -> Octets:
        """Return the FrameState of each frame."""
        return self._plan.states(pfns)

    def read(self, pfns: Ints, size: int) -> Octets:
        """Return a copy of the first ``size`` bytes of each frame, shape (n, size)."""
        found = np.empty((pfns.size, size), dtype=np.uint8)
        for row, pfn in enumerate(pfns.tolist()):
            found[row] = np.frombuffer(self._bytes(pfn << self._shift, size), np.uint8)
        return found

    def _bytes(self, pa: int, size: int) -> bytes:
        parts, end = [], pa + size
        index = max(0, int(np.searchsorted(self._starts, pa >> 6, side="right")) - 1)
        while pa < end:
            start, stop = self._chunks[index][:2]
            if start <= pa < stop:
                here = min(end, stop)
                parts.append(self._unpacked(index)[pa - start : here - start])
                pa = here
            index += 1
        return b"".join(parts)

    def _unpacked(self, index: int) -> bytes:
        """Return the bytes of a chunk."""
        known = self._known.get(index)
        if known is not None:
            return known
        start, end, place, packed, kind = self._chunks[index]
        data = self._content.read(place, packed)
        try:
            if kind == _PACKED:
                data = unpack_snappy(data, end - start, end - start)
            if len(data) != end - start:
                raise ValueError(f"it has {len(data)} bytes, not {end - start}")  # noqa: TRY301
        except ValueError as error:
            raise _damaged(
                f"memory at PA {start:#x} cannot be unpacked: {error}", self._path, f"byte {place:#x}"
            ) from error
        if len(self._known) >= _KNOWN:
            del self._known[next(iter(self._known))]
        self._known[index] = data
        return data


def merged_ranges(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of ranges, in order."""
    found = list[tuple[int, int]]()
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _damaged(what: str, path: Path, place: str) -> CoreFileError:
    rule = "LiME's doc/README.md, AVML's src/image.rs: a header before each range, its last PA not below the first"
    hint = "copy the file again: this copy may be damaged"
    return CoreFileError(what, where=f"{path}, {place}", rule=rule, hint=hint)
