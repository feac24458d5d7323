# SPDX-License-Identifier: GPL-2.0-only
"""Writers of other formats than ELF, from pages by PFN."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import zstandard

from hvolab.arithmetic import div_round_up, round_up
from hvolab_vmlinux.errors import missing_library

#: Pages by PFN; None: the frame exists, and its page was excluded.
Pages = Mapping[int, bytes | None]
#: Bytes of a page on most machines.
PAGE: Final = 4096
#: Flags of compressions in a page's descriptor. Source: makedumpfile's diskdump_mod.h.
ZLIB, LZO, SNAPPY, ZSTD = 1, 2, 4, 0x20
_TEXT: Final = b"OSRELEASE=6.12.0\nPAGESIZE=4096\n"
_DESCRIPTOR: Final = "QIIQ"
_EXCLUDED_LEVEL: Final = 31


def _lzo(data: bytes) -> bytes:
    try:
        from lzallright import LZOCompressor  # noqa: PLC0415 - optional
    except ImportError as error:
        raise missing_library("lzallright", "packing by LZO", extra="dumps") from error
    return bytes(LZOCompressor().compress(data))


def _snappy(data: bytes, *, framed: bool = False) -> bytes:
    try:
        import cramjam  # noqa: PLC0415 - optional
    except ImportError as error:
        raise missing_library("cramjam", "packing by snappy", extra="dumps") from error
    return bytes(cramjam.snappy.compress(data) if framed else cramjam.snappy.compress_raw(data))


_PACKERS: Final[Mapping[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    ZLIB: zlib.compress,
    LZO: _lzo,
    SNAPPY: _snappy,
    ZSTD: lambda data: zstandard.ZstdCompressor().compress(data),
}


def pack(data: bytes, kind: int) -> bytes:
    """Return packed data; ``kind`` is the flag of a compression, 0: unchanged."""
    return _PACKERS[kind](data)


def kdump_pieces(
    pages: Pages,
    *,
    kinds: Sequence[int] = (ZLIB,),
    version: int = 6,
    order: str = "<",
    machine: bytes = b"x86_64",
    part: tuple[int, int] | None = None,
    info: bytes = _TEXT,
    status: int = 0,
    page_size: int = PAGE,
    notes: bytes = b"",
) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces of a kdump-compressed file with their offsets; bytes between them are zero.

    kinds    flags of compressions, for pages in turn; 0: not packed
    version  of the header, 1 to 6
    order    byte order as struct has it
    part     first PFN and one past the last of a part of a split dump; all pages are in the bitmaps
    info     VMCOREINFO
    status   of the header: what makedumpfile marks as incomplete
    notes    those of the ELF core, which makedumpfile copies
    """
    frames = max(pages) + 1
    blocks = 2 * div_round_up(frames, 8 * page_size)
    mine = [pfn for pfn in sorted(pages) if pages[pfn] is not None and (part is None or part[0] <= pfn < part[1])]
    names = b"".join(name.ljust(65, b"\0") for name in (b"Linux", b"host", b"6.12.0", b"#1", machine, b"(none)"))
    narrow = 0 if version >= 6 else frames
    header = b"KDUMP   " + struct.pack(order + "i", version) + names
    sub_blocks = 1
    yield 0, header.ljust(424, b"\0") + struct.pack(order + "IiIII", status, page_size, sub_blocks, blocks, narrow)
    first, end = part or (0, 0)
    start = page_size * (1 + sub_blocks + blocks) + struct.calcsize(order + _DESCRIPTOR) * len(mine)
    wide = (first, end, frames) if version >= 6 else (0, 0, 0)
    split = (part is not None, first, end)
    texts = (start, len(info), start + len(info) if notes else 0, len(notes), 0, 0)
    yield page_size, struct.pack(order + "Qii2Q4Q2Q3Q", 0, _EXCLUDED_LEVEL, *split, *texts, *wide)
    bitmaps = page_size * (1 + sub_blocks)
    yield from _bitmap(bitmaps, pages, page_size)
    saved = [pfn for pfn, data in pages.items() if data is not None]
    yield from _bitmap(bitmaps + blocks * page_size // 2, saved, page_size)
    descriptors, data = b"", info + notes
    at = start + len(data)
    for index, pfn in enumerate(mine):
        kind = kinds[index % len(kinds)]
        packed = pack(pages[pfn] or b"", kind)
        descriptors += struct.pack(order + _DESCRIPTOR, at, len(packed), kind, 0)
        data, at = data + packed, at + len(packed)
    yield page_size * (1 + sub_blocks + blocks), descriptors + data


def _bitmap(offset: int, pfns: Iterable[int], page_size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the pages of a bitmap in which a bit is set, with their offsets."""
    blocks = dict[int, bytearray]()
    for pfn in pfns:
        number, bit = divmod(pfn, 8 * page_size)
        blocks.setdefault(number, bytearray(page_size))[bit // 8] |= 1 << bit % 8
    yield from ((offset + number * page_size, bytes(block)) for number, block in sorted(blocks.items()))


def write_kdump(pages: Pages, **options: Any) -> bytes:
    """Return a kdump-compressed file; the options are those of :func:`kdump_pieces`."""
    content = bytearray()
    for offset, piece in kdump_pieces(pages, **options):
        content += bytes(offset - len(content)) + piece
    return bytes(content)


def flatten(content: bytes, cuts: Sequence[int] = (), again: Sequence[tuple[int, int]] = ()) -> bytes:
    """Return a file in makedumpfile's flattened format.

    cuts   offsets at which it is cut into pieces
    again  ranges that are first written as other bytes, which the later ones replace
    """
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    parts = [struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")]
    for start, end in again:
        if start < end:
            parts.append(struct.pack(">qq", start, end - start) + b"\xee" * (end - start))
    for start, end in pairwise(edges):
        parts.append(struct.pack(">qq", start, end - start) + content[start:end])
    return b"".join([*parts, struct.pack(">qq", -1, -1)])


def ranges_of(pages: Pages, page_size: int = PAGE) -> Iterator[tuple[int, bytes]]:
    """Yield runs of pages that are there, as first PFN and bytes."""
    there = [(pfn, data) for pfn, data in sorted(pages.items()) if data is not None]
    first, parts = 0, list[bytes]()
    for pfn, data in there:
        if parts and first + len(parts) != pfn:
            yield first, b"".join(parts)
            parts = []
        first = pfn if not parts else first
        parts.append(data.ljust(round_up(len(data), page_size), b"\0"))
    if parts:
        yield first, b"".join(parts)


def write_lime(pages: Pages, page_size: int = PAGE) -> bytes:
    """Return a file in LiME's format."""
    return b"".join(
        struct.pack("<4sIQQ8x", b"EMiL", 1, pfn * page_size, pfn * page_size + len(data) - 1) + data
        for pfn, data in ranges_of(pages, page_size)
    )


def write_avml(pages: Pages, page_size: int = PAGE) -> bytes:
    """Return a file in AVML's format."""
    parts = []
    for pfn, data in ranges_of(pages, page_size):
        start, packed = pfn * page_size, _snappy(data, framed=True)
        parts.append(struct.pack("<4sIQQ8x", b"AVML", 2, start, start + len(data) - 1) + packed)
        parts.append(struct.pack("<Q", len(packed)))
    return b"".join(parts)
