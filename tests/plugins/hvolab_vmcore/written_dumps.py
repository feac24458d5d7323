# SPDX-License-Identifier: GPL-2.0-only
"""Dumps of other formats than ELF, written for tests from pages by PFN."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise

import cramjam
import zstandard
from lzallright import LZOCompressor

#: Pages of 4096 bytes by PFN; None: the frame exists, and its page was excluded.
Pages = Mapping[int, bytes | None]
BLOCK = 4096
TEXT = b"OSRELEASE=6.12.0\nPAGESIZE=4096\n"


def pack(data: bytes, kind: int) -> bytes:
    if kind == 1:
        return zlib.compress(data)
    if kind == 2:
        return bytes(LZOCompressor().compress(data))
    if kind == 4:
        return bytes(cramjam.snappy.compress_raw(data))
    return zstandard.ZstdCompressor().compress(data)


def write_kdump(
    pages: Pages,
    *,
    kinds: Sequence[int] = (1,),
    version: int = 6,
    order: str = "<",
    machine: bytes = b"x86_64",
    part: tuple[int, int] | None = None,
    info: bytes = TEXT,
    status: int = 0,
) -> bytes:
    """Return a kdump-compressed file; `kinds` are flags of compressions in turn, 0 for pages as they are."""
    frames = max(pages) + 1
    blocks = 2 * (-(-frames // (8 * BLOCK)))
    bitmaps = bytearray(blocks * BLOCK)
    half = len(bitmaps) // 2
    for pfn, data in pages.items():
        bitmaps[pfn // 8] |= 1 << pfn % 8
        bitmaps[half + pfn // 8] |= (data is not None) << pfn % 8
    mine = [pfn for pfn in sorted(pages) if pages[pfn] is not None and (part is None or part[0] <= pfn < part[1])]
    names = b"".join(name.ljust(65, b"\0") for name in (b"Linux", b"host", b"6.12.0", b"#1", machine, b"(none)"))
    narrow = 0 if version >= 6 else frames
    header = b"KDUMP   " + struct.pack(order + "i", version) + names
    header = header.ljust(424, b"\0") + struct.pack(order + "IiIII", status, BLOCK, 1, blocks, narrow)
    first, end = part or (0, 0)
    place = BLOCK * (2 + blocks)
    start = place + 24 * len(mine)
    wide = (first, end, frames) if version >= 6 else (0, 0, 0)
    sub = struct.pack(order + "Qii2Q4Q2Q3Q", 0, 31, part is not None, first, end, start, len(info), 0, 0, 0, 0, *wide)
    descriptors, data, at = b"", info, start + len(info)
    for index, pfn in enumerate(mine):
        page, kind = pages[pfn] or b"", kinds[index % len(kinds)]
        packed = pack(page, kind) if kind else page
        descriptors += struct.pack(order + "QIIQ", at, len(packed), kind, 0)
        data, at = data + packed, at + len(packed)
    return b"".join([header.ljust(BLOCK, b"\0"), sub.ljust(BLOCK, b"\0"), bitmaps, descriptors, data])


def flatten(content: bytes, cuts: Sequence[int] = (), again: Sequence[tuple[int, int]] = ()) -> bytes:
    """Return a flattened file in pieces that are cut at offsets; ranges of `again` are first written as other bytes."""
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    parts = [struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")]
    for start, end in again:
        if start < end:
            parts.append(struct.pack(">qq", start, end - start) + b"\xee" * (end - start))
    for start, end in pairwise(edges):
        parts.append(struct.pack(">qq", start, end - start) + content[start:end])
    return b"".join([*parts, struct.pack(">qq", -1, -1)])


def ranges_of(pages: Pages) -> list[tuple[int, bytes]]:
    """Return runs of pages, as first PFN and bytes."""
    found: list[tuple[int, bytes]] = []
    for pfn in sorted(pages):
        data = pages[pfn]
        assert data is not None
        if found and found[-1][0] + len(found[-1][1]) // BLOCK == pfn:
            found[-1] = found[-1][0], found[-1][1] + data
        else:
            found.append((pfn, data))
    return found


def write_lime(pages: Pages) -> bytes:
    parts = []
    for pfn, data in ranges_of(pages):
        start = pfn * BLOCK
        parts.append(struct.pack("<4sIQQ8x", b"EMiL", 1, start, start + len(data) - 1) + data)
    return b"".join(parts)


def write_avml(pages: Pages) -> bytes:
    parts = []
    for pfn, data in ranges_of(pages):
        start = pfn * BLOCK
        packed = bytes(cramjam.snappy.compress(data))
        parts.append(struct.pack("<4sIQQ8x", b"AVML", 2, start, start + len(data) - 1) + packed)
        parts.append(struct.pack("<Q", len(packed)))
    return b"".join(parts)
