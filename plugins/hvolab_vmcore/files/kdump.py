# SPDX-License-Identifier: GPL-2.0-only
"""kdump-compressed format, as makedumpfile and QEMU write it: two bitmaps of frames, and each saved page by itself.

Source: makedumpfile's diskdump_mod.h and IMPLEMENTATION, for header versions 1 to 6; QEMU's include/sysemu/dump.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab.arithmetic import div_round_up
from hvolab.errors import CoreFileError
from hvolab.machine import FrameState
from hvolab_vmcore.files.bits import FrameBits
from hvolab_vmcore.files.content import Content, Ints, Octets, overlap
from hvolab_vmcore.files.dump import CUT_SHORT, Dump, DumpInput, vmcoreinfo_of
from hvolab_vmcore.files.elf import ByteOrder, CoreNote, read_notes
from hvolab_vmcore.files.packed import Unpacker, unpack_lzo, unpack_snappy, unpack_zlib, unpack_zstd

MAGIC: Final = b"KDUMP   "
_VERSIONS: Final = range(1, 7)
#: utsname: six strings of 65 bytes; release is the third, machine the fifth.
_NAME: Final = 65
#: status, block_size, sub_hdr_size, bitmap_blocks, max_mapnr of struct disk_dump_header.
_HEADER, _HEADER_AT, _HEADER_SIZE = "IiIII", 424, 464
#: dump_level and split; start_pfn and end_pfn; offsets and sizes of VMCOREINFO and of the notes; start_pfn, end_pfn and
#: max_mapnr of version 6. Fields of later versions are not within the header of earlier ones.
_SUB_HEADER, _SUB_HEADER_SIZE = "8xii2Q4Q16x3Q", 104
#: offset, size, flags of struct page_desc.
_PAGE_SIZE: Final = 24
_PAGE_FIELDS: Final = {
    order: [("offset", sign + "u8"), ("size", sign + "u4"), ("flags", sign + "u4"), ("page_flags", sign + "u8")]
    for order, sign in (("little", "<"), ("big", ">"))
}
#: Pages that are kept while several frames are read.
_KNOWN: Final = 64
#: Last pages of a file that show whether it is cut short; pages of zeros, which are at its start, do not.
_LAST: Final = 64
_UNPACKERS: Final[dict[int, Unpacker]] = {1: unpack_zlib, 2: unpack_lzo, 4: unpack_snappy, 0x20: unpack_zstd}
_PACKED: Final = sum(_UNPACKERS)
#: Flags of status: makedumpfile could not write all pages; it excluded unused pages of the vmemmap (option -e).
_INCOMPLETE, _NO_VMEMMAP = 8, 0x10
#: Limits: a page, frames (PAs of 56 bits in pages of 4 KiB), and notes.
_BLOCKS: Final = range(9, 19)
_MOST_FRAMES: Final = 1 << 44
_MOST_NOTES: Final = 64 << 20
_RULE: Final = "makedumpfile's diskdump_mod.h: struct disk_dump_header and struct kdump_sub_header"
_HINT: Final = "copy the file again: this copy may be damaged"


@dataclass(frozen=True)
class KdumpHeader:
    """Headers of one file.

    version     of the header
    byte_order  of the headers, and of memory
    release     release of the kernel, and machine, as `uname` prints them
    machine     likewise
    status      flags of the whole file
    block       bytes of a page, and of the unit of the file
    bitmaps     offset of the bitmaps, and bytes of each
    pages       offset of the descriptors of pages
    frames      number of frames that the bitmaps describe
    part        first PFN whose page is in this file, and one past the last; None: all of them are
    info        offset and bytes of the text of VMCOREINFO
    notes       offset and bytes of the ELF notes
    """

    version: int
    byte_order: ByteOrder
    release: str
    machine: str
    status: int
    block: int
    bitmaps: tuple[int, int]
    pages: int
    frames: int
    part: tuple[int, int] | None
    info: tuple[int, int]
    notes: tuple[int, int]


def read_header(content: Content, path: Path) -> KdumpHeader:
    """Parse and check the headers; raises CoreFileError for values that are impossible."""
    start = content.read(0, _HEADER_SIZE)
    if len(start) < _HEADER_SIZE:
        raise _damaged(f"the file ends inside its header, after {len(start)} bytes", path, "byte 0")
    orders: tuple[ByteOrder, ByteOrder] = ("little", "big")
    found = [order for order in orders if int.from_bytes(start[8:12], order) in _VERSIONS]
    if not found:
        version = int.from_bytes(start[8:12], "little")
        raise _damaged(f"the header has version {version}, not one of 1 to 6", path, "byte 8 (header_version)")
    order, sign = found[0], "<" if found[0] == "little" else ">"
    version = int.from_bytes(start[8:12], order)
    names = [start[12 + at : 12 + at + _NAME].partition(b"\0")[0] for at in range(0, 6 * _NAME, _NAME)]
    status, block, sub_blocks, bitmap_blocks, mapped = struct.unpack_from(sign + _HEADER, start, _HEADER_AT)
    if block <= 0 or block.bit_count() != 1 or block.bit_length() - 1 not in _BLOCKS:
        raise _damaged(f"pages have {block} bytes", path, "byte 428 (block_size)")
    if not sub_blocks or bitmap_blocks % 2 or not bitmap_blocks:
        what = f"the sub-header has {sub_blocks} pages, the bitmaps {bitmap_blocks}"
        raise _damaged(what, path, "bytes 432 and 436 (sub_hdr_size, bitmap_blocks)")
    sub = content.read(block, _SUB_HEADER_SIZE).ljust(_SUB_HEADER_SIZE, b"\0")
    _, split, first, end, info, info_size, notes, notes_size, *wide = struct.unpack_from(sign + _SUB_HEADER, sub)
    if version >= 6:
        first, end, mapped = wide
    bitmaps, size = block * (1 + sub_blocks), bitmap_blocks * block // 2
    frames = min(mapped, 8 * size)
    used = bitmaps + size + div_round_up(frames, 8)  # makedumpfile does not write bytes after the last frame
    if frames > _MOST_FRAMES or used > content.size:
        what = f"bitmaps of {size:#x} bytes each for {frames:#x} frames do not fit the file's {content.size:#x} bytes"
        raise _damaged(what, path, f"byte {bitmaps:#x}")
    return KdumpHeader(
        version=version,
        byte_order=order,
        release=names[2].decode("ascii", errors="backslashreplace"),
        machine=names[4].decode("ascii", errors="backslashreplace"),
        status=status,
        block=block,
        bitmaps=(bitmaps, size),
        pages=bitmaps + 2 * size,
        frames=frames,
        part=(first, min(end, frames)) if split and version >= 2 else None,
        info=(info, info_size) if version >= 3 else (0, 0),
        notes=(notes, notes_size) if version >= 4 else (0, 0),
    )


class _Part:
    """Pages of one file.

    header  its headers
    first   first PFN whose page is in it
    end     one past the last
    """

    def __init__(self, content: Content, header: KdumpHeader, saved: FrameBits, path: Path) -> None:
        self._content = content
        self._saved = saved
        self._path = path
        self.header = header
        self.first, self.end = header.part or (0, header.frames)
        self._skipped = int(saved.rank(np.array([self.first]))[0])
        self._page = np.dtype(_PAGE_FIELDS[header.byte_order])

    def pages(self, pfns: Ints) -> NDArray[np.void]:
        """Return the descriptors of frames that the second bitmap has; zeros where the file is cut short."""
        places = self.header.pages + (self._saved.rank(pfns) - self._skipped) * _PAGE_SIZE
        inside = places + _PAGE_SIZE <= self._content.size
        found = np.zeros(pfns.size, dtype=self._page)
        found[inside] = self._content.rows(places[inside], _PAGE_SIZE).reshape(-1).view(self._page)
        return found

    def there(self, pfns: Ints) -> NDArray[np.bool_]:
        """Return one flag for each of these frames: its bytes are within the file."""
        return self._within(self.pages(pfns))

    @property
    def cut_short(self) -> bool:
        """True if one of the last pages is not within the file."""
        count = int(self._saved.rank(np.array([self.end]))[0]) - self._skipped
        places = self.header.pages + np.arange(max(0, count - _LAST), count, dtype=np.int64) * _PAGE_SIZE
        if (places + _PAGE_SIZE > self._content.size).any():
            return True
        pages = self._content.rows(places, _PAGE_SIZE).reshape(-1).view(self._page)
        return not self._within(pages).all()

    def _within(self, pages: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return one flag for each descriptor: its bytes are within the file."""
        offset, size = pages["offset"].astype(np.uint64), pages["size"].astype(np.uint64)
        limit = np.uint64(self._content.size)
        found: NDArray[np.bool_] = (size > 0) & (offset < limit) & (size <= limit - np.minimum(offset, limit))
        places = (np.where(found, each, 0).astype(np.int64) for each in (offset, offset + size))
        found &= ~overlap(self._content.missing, *places)
        return found

    def read(self, pfns: Ints, size: int) -> Octets:
        """Return the first ``size`` bytes of each of these frames."""
        pages, block = self.pages(pfns), self.header.block
        found = np.empty((pfns.size, size), dtype=np.uint8)
        known: dict[int, bytes] = {}  # all pages of zeros have one place in the file
        rows = zip(
            pfns.tolist(), pages["offset"].tolist(), pages["size"].tolist(), pages["flags"].tolist(), strict=True
        )
        for row, (pfn, offset, packed, flags) in enumerate(rows):
            data = known.get(offset)
            if data is None:
                data = self._content.read(offset, min(packed, 2 * block))
                unpack = _UNPACKERS.get(flags & _PACKED)
                try:
                    if flags & _PACKED:
                        if unpack is None:
                            raise ValueError(f"flags {flags:#x} name no compression")  # noqa: TRY301
                        data = unpack(data, block, size)
                    if len(data) < size:
                        raise ValueError(f"it has {len(data)} bytes, not {block}")  # noqa: TRY301
                except ValueError as error:
                    what = f"the page of PFN {pfn:#x} cannot be unpacked: {error}"
                    raise _damaged(what, self._path, f"byte {offset:#x}") from error
                if len(known) < _KNOWN:
                    known[offset] = data
            found[row] = np.frombuffer(data, np.uint8, size)
        return found


class KdumpFrames:
    """Frames of one file, or of all that makedumpfile --split wrote; a MemorySource.

    parts  the files
    held   frames that exist
    saved  frames whose pages were saved, in any file
    """

    def __init__(self, parts: Sequence[_Part], held: FrameBits, saved: FrameBits) -> None:
        self._parts = parts
        self._held = held
        self._saved = saved

    def states(self, pfns: Ints) -> Octets:
        """Return the FrameState of each frame."""
        states = np.where(self._held.test(pfns), FrameState.NOT_SAVED, FrameState.ABSENT).astype(np.uint8)
        saved = self._saved.test(pfns)
        for part in self._parts:
            mine = np.flatnonzero(saved & (pfns >= part.first) & (pfns < part.end))
            states[mine] = np.where(part.there(pfns[mine]), FrameState.SAVED, FrameState.NOT_SAVED)
        return states

    def read(self, pfns: Ints, size: int) -> Octets:
        """Return a copy of the first ``size`` bytes of each frame, shape (n, size)."""
        found = np.zeros((pfns.size, size), dtype=np.uint8)
        for part in self._parts:
            mine = np.flatnonzero((pfns >= part.first) & (pfns < part.end))
            found[mine] = part.read(pfns[mine], size)
        return found


def read_kdump(source: DumpInput) -> Dump | None:
    """Return the dump, None for a file of another format.

    Raises CoreFileError for a damaged file, and for files that are not parts of one dump.
    """
    if source.content.read(0, len(MAGIC)) != MAGIC:
        return None
    path = source.path
    for content, file in zip(source.contents, source.paths, strict=True):
        if content.read(0, len(MAGIC)) != MAGIC:
            raise _no_parts(path, file)
    headers = [read_header(content, file) for content, file in zip(source.contents, source.paths, strict=True)]
    header = headers[0]
    noted, left_out = zip(*map(_notes, source.contents, headers), strict=True)
    _check_parts(source.paths, headers, noted)
    held, saved = (
        FrameBits(source.content, header.bitmaps[0] + index * header.bitmaps[1], header.frames) for index in (0, 1)
    )
    if held.end <= 0:
        raise _damaged("the dump describes no memory", path, f"byte {header.bitmaps[0]:#x}")
    parts = [
        _Part(content, other, saved, file)
        for content, other, file in zip(source.contents, headers, source.paths, strict=True)
    ]
    cut = [file.name for part, file in zip(parts, source.paths, strict=True) if part.cut_short]
    info, odd = vmcoreinfo_of(noted[0], path)
    return Dump(
        path=path,
        format=f"kdump-compressed, version {header.version}",
        machine=header.machine,
        byte_order=header.byte_order,
        ranges=((held.first * header.block, held.end * header.block),),
        frames=partial(_frames, KdumpFrames(parts, held, saved), header.block, path),
        notes=noted[0],
        vmcoreinfo=info,
        warnings=(
            *_warnings(headers),
            *chain.from_iterable(left_out),
            *(f"the file is cut short: {name}" for name in cut),
            *odd,
        ),
        parts=len(parts),
        remedy="give the other parts of the split dump: --part FILE" if _missing(headers) else CUT_SHORT if cut else "",
    )


def _check_parts(paths: Sequence[Path], headers: Sequence[KdumpHeader], noted: Sequence[tuple[CoreNote, ...]]) -> None:
    """Raise CoreFileError for several files that are not parts of one dump."""
    for path, header, notes in zip(paths[1:], headers[1:], noted[1:], strict=True):
        first, second = ((one.block, one.frames, one.release, one.byte_order) for one in (headers[0], header))
        texts = ({note.data for note in each if note.name == "VMCOREINFO"} for each in (noted[0], notes))
        if (
            first != second
            or len({frozenset(text) for text in texts if text}) > 1
            or header.part is None
            or headers[0].part is None
        ):
            raise _no_parts(paths[0], path)


def _no_parts(first: Path, other: Path) -> CoreFileError:
    """Return the error for two files that are not parts of one dump."""
    return CoreFileError(
        "the files are not parts of one split dump",
        where=f"{first} and {other}",
        rule="makedumpfile --split: all parts have one kernel, and a range of PFNs each",
        hint="give only the parts that were written together",
    )


def _frames(frames: KdumpFrames, block: int, path: Path, page_shift: int) -> KdumpFrames:
    """Return the frames; raises CoreFileError for a kernel whose pages have another size."""
    if block != 1 << page_shift:
        raise _damaged(f"pages of the dump have {block} bytes, the kernel's {1 << page_shift}", path, "byte 428")
    return frames


def _notes(content: Content, header: KdumpHeader) -> tuple[tuple[CoreNote, ...], list[str]]:
    """Return the ELF notes, and VMCOREINFO as one where they do not have it; and warnings about damaged ones."""
    (offset, size), found, warnings = header.notes, list[CoreNote](), list[str]()
    if 0 < size <= _MOST_NOTES:
        found, warnings = read_notes(content.read(offset, size), offset, header.byte_order)
    offset, size = header.info
    if 0 < size <= _MOST_NOTES and all(note.name != "VMCOREINFO" for note in found):
        found.append(CoreNote("VMCOREINFO", 0, content.read(offset, size)))
    return tuple(found), warnings


def _warnings(headers: list[KdumpHeader]) -> list[str]:
    """Return what is missing in the files."""
    found = []
    if any(header.status & _INCOMPLETE for header in headers):
        found.append("makedumpfile could not write all pages: the dump is marked as incomplete")
    if any(header.status & _NO_VMEMMAP for header in headers):
        found.append("pages of the vmemmap were excluded: makedumpfile -e")
    if missing := _missing(headers):
        found.append(f"parts of the split dump are missing, with PFN {', '.join(missing)}: give them with --part")
    return found


def _missing(headers: list[KdumpHeader]) -> list[str]:
    """Return the ranges of PFNs that are in no part of a split dump."""
    parts = sorted(header.part for header in headers if header.part)
    reached, missing = 0, list[str]()
    for first, end in (*parts, (headers[0].frames, 0)) if parts else ():
        if first > reached:
            missing.append(f"{reached:#x} to {first - 1:#x}")
        reached = max(reached, end)
    return missing


def _damaged(what: str, path: Path, place: str) -> CoreFileError:
    return CoreFileError(what, where=f"{path}, {place}", rule=_RULE, hint=_HINT)
