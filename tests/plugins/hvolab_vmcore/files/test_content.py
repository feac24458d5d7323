# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of a dump's file: pieces, rows, and holes."""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np

from hvolab_vmcore.files.content import MappedContent, open_content


def test_pieces_end_with_the_content_and_rows_are_copies() -> None:
    content = MappedContent(np.arange(16, dtype=np.uint8))
    assert content.read(14, 8) == b"\x0e\x0f"
    rows = content.rows(np.array([8, 0, 13]), 3)
    assert rows.tolist() == [[8, 9, 10], [0, 1, 2], [13, 14, 15]]
    rows[:] = 0
    assert content.read(0, 3) == b"\0\1\2"
    assert content.rows(np.empty(0, dtype=np.int64), 3).shape == (0, 3)


def test_the_holes_of_a_sparse_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 22)
        file.seek(1 << 20)
        file.write(b"data")
    found = open_content(path)
    assert found.size == 1 << 22
    zero = np.zeros(1 << 22, dtype=np.bool_)
    for start, end in found.holes.tolist():
        zero[start:end] = True
    assert zero.any()
    assert not zero[1 << 20 : (1 << 20) + 4].any()
    assert not found.octets[zero].any()


def test_a_dense_and_a_compressed_file_have_no_holes(tmp_path: Path) -> None:
    (tmp_path / "dense").write_bytes(os.urandom(10000))
    (tmp_path / "xz").write_bytes(lzma.compress(bytes(1 << 20)))
    assert not open_content(tmp_path / "dense").holes.size
    assert not open_content(tmp_path / "xz").holes.size
