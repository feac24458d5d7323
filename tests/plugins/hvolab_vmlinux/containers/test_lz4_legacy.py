"""Blocks of LZ4's legacy frame: several, concatenated frames, cut short."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.containers.lz4_legacy import MAGIC, lz4_blocks
from tests.plugins.hvolab_vmlinux.packers import lz4_packed

CONTENT = bytes(range(256)) * 40_000  # 10 MB: more than a block


def test_every_block_is_unpacked_and_the_size_at_the_end_is_none() -> None:
    packed = lz4_packed(CONTENT)
    pieces = list(lz4_blocks(b"before" + packed, 6))
    assert [len(one) for one in pieces] == [8 << 20, len(CONTENT) - (8 << 20)]
    assert b"".join(pieces) == CONTENT


def test_another_frame_that_follows_is_more_blocks() -> None:
    packed = lz4_packed(b"abc" * 100)[:-4]
    assert packed.startswith(MAGIC)
    assert b"".join(lz4_blocks(packed * 2, 0)) == b"abc" * 200


def test_a_block_that_is_cut_short_or_damaged_is_refused() -> None:
    packed = lz4_packed(b"abc" * 1000)
    with pytest.raises(EOFError):
        list(lz4_blocks(packed[:12], 0))
    with pytest.raises(ValueError, match=r"Decompression failed"):
        list(lz4_blocks(packed[:8] + b"\xff" * (len(packed) - 8), 0))
