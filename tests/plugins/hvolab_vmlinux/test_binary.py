# SPDX-License-Identifier: GPL-2.0-only
"""Structures, pieces, and pieces of arrays, joined."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab_vmlinux.binary import fields, joined, piece
from hvolab_vmlinux.errors import KernelImageError


def test_a_structure_is_read_where_it_is_whole() -> None:
    assert fields("<HI", b"\0\1\0\2\0\0\0", 1, "it") == (1, 2)
    assert piece(b"abcdef", 2, 3, "it") == b"cde"
    assert piece(b"abcdef", 6, 0, "it") == b""


@pytest.mark.parametrize(("offset", "size"), [(4, 4), (-1, 2), (0, -1), (1 << 60, 1)])
def test_a_piece_beyond_the_content_is_refused_by_its_name(offset: int, size: int) -> None:
    with pytest.raises(KernelImageError, match="the header is not within the 7 bytes"):
        piece(bytes(7), offset, size, "the header")
    with pytest.raises(KernelImageError, match="the header is not within the 7 bytes"):
        fields("<II", bytes(7), 0, "the header")


def test_pieces_of_an_array_are_joined_in_their_order() -> None:
    source = np.arange(10)
    assert joined(source, np.array([7, 0, 4]), np.array([2, 3, 0])).tolist() == [7, 8, 0, 1, 2]
    assert joined(source, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
