# SPDX-License-Identifier: GPL-2.0-only
"""Content packed by LZ4 and LZO as kernel builds pack it."""

from __future__ import annotations

import struct
import zlib

import pytest

lz4_block = pytest.importorskip("lz4.block", reason="no LZ4: pip install 'hvolab[kernel]'")
lzallright = pytest.importorskip("lzallright", reason="no LZO: pip install 'hvolab[kernel]'")


def lz4_packed(content: bytes) -> bytes:
    blocks = b""
    for start in range(0, len(content), 8 << 20):
        block = lz4_block.compress(content[start : start + (8 << 20)], store_size=False)
        blocks += struct.pack("<I", len(block)) + block
    return b"\x02\x21\x4c\x18" + blocks + struct.pack("<I", len(content))


def lzo_packed(content: bytes) -> bytes:
    header = b"\x89LZO\0\r\n\x1a\n" + struct.pack(">HHHBB", 0x1040, 0x2080, 0x0940, 1, 5)
    header += struct.pack(">IIII", 1, 0o644, 0, 0) + b"\0" + bytes(4)
    blocks = b""
    for start in range(0, len(content), 1 << 17):
        block = content[start : start + (1 << 17)]
        packed = lzallright.LZOCompressor().compress(block)
        kept = bytes(packed) if len(packed) < len(block) else block
        blocks += struct.pack(">III", len(block), len(kept), zlib.adler32(block)) + kept
    return header + blocks + bytes(4)
