# SPDX-License-Identifier: GPL-2.0-only
"""Flattened files have the bytes of the file that they were made of."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import MappedContent
from hvolab_vmcore.files.flattened import FlattenedContent
from hvolab_vmcore.torture.dump_writers import flatten
from tests.plugins.hvolab_vmcore.written_cores import patched

WHOLE = random.Random(3).randbytes(500)


def opened(content: bytes) -> FlattenedContent:
    return FlattenedContent(MappedContent(np.frombuffer(content, np.uint8)), "a.flat")


@given(
    st.lists(st.integers(0, 500), max_size=8),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=4),
    st.lists(st.integers(0, 490), min_size=1),
)
def test_pieces_make_up_the_file_and_later_ones_replace_earlier_ones(
    cuts: list[int], again: list[tuple[int, int]], offsets: list[int]
) -> None:
    content = opened(flatten(WHOLE, cuts, again))
    assert (content.size, content.warnings) == (500, ())
    assert content.read(0, 1000) == WHOLE
    assert [row.tobytes() for row in content.rows(np.array(offsets), 10)] == [WHOLE[at : at + 10] for at in offsets]


def test_bytes_without_a_piece_are_zero() -> None:
    start = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    content = opened(start + struct.pack(">qq", 4, 2) + b"ab" + struct.pack(">qq", 8, 1) + b"c" + b"\xff" * 16)
    assert content.read(0, 9) == b"\0\0\0\0ab\0\0c"
    assert content.rows(np.array([0, 5]), 4).tolist() == [[0, 0, 0, 0], [98, 0, 0, 99]]
    assert (content.holes.tolist(), content.missing.tolist()) == ([[0, 4], [6, 8]], [])


@pytest.mark.parametrize("tail", [b"", bytes(64)])
def test_bytes_without_a_piece_are_unknown_in_a_file_cut_short(tail: bytes) -> None:
    start = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    content = opened(start + struct.pack(">qq", 4, 2) + b"ab" + struct.pack(">qq", 8, 1) + b"c" + tail)
    assert content.read(0, 9) == b"\0\0\0\0ab\0\0c"
    assert (content.holes.tolist(), content.missing.tolist()) == ([], [[0, 4], [6, 8]])


def test_a_file_cut_short_has_a_warning() -> None:
    content = opened(flatten(WHOLE, [100])[: 4096 + 16 + 100 + 16 + 50])
    assert content.read(0, 500) == WHOLE[:150]
    assert content.warnings == ("the flattened file is cut short: its end mark is missing",)


@pytest.mark.parametrize(
    ("at", "value", "complaint"),
    [(16, b"\2", "type 144115188075855873 and version 1"), (4096, b"\x80", "a piece of the flattened file has 500")],
)
def test_impossible_headers_are_refused(at: int, value: bytes, complaint: str) -> None:
    with pytest.raises(CoreFileError, match=complaint):
        opened(patched(flatten(WHOLE), at, value))


@pytest.mark.parametrize("size", [63, 4096, 4100, 4112])
def test_a_file_without_any_piece_is_called_cut_short(size: int) -> None:
    with pytest.raises(CoreFileError, match="the flattened file has nothing in it") as caught:
        opened(flatten(WHOLE)[:size])
    assert caught.value.hint == "copy the file again: this copy is cut short"
