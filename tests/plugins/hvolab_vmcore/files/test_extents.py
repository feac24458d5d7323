# SPDX-License-Identifier: GPL-2.0-only
"""Frames in long ranges of a file, against memory that is put together byte by byte."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.machine import FrameState
from hvolab_vmcore.files.content import MappedContent
from hvolab_vmcore.files.extents import DisagreementError, Extent, ExtentFrames, merged

SPAN = 16 << 4
MEMORY = np.frombuffer(random.Random(15).randbytes(SPAN), np.uint8)
#: Ranges of PA that are in the file; frames of 16 bytes.
RANGES = st.lists(st.tuples(st.integers(0, SPAN - 1), st.integers(1, 80)), max_size=8)


@given(RANGES, st.sets(st.integers(0, 40)))
def test_overlapping_ranges_have_the_frames_that_all_together_cover(
    ranges: list[tuple[int, int]], zeros: set[int]
) -> None:
    memory = MEMORY.copy()
    parts, extents, known = list[bytes](), list[Extent](), np.zeros(SPAN, dtype=np.bool_)
    for start, size in ranges:
        end = min(start + size, SPAN)
        extents.append(Extent(start, end, len(b"".join(parts))))
        parts.append(memory[start:end].tobytes())
        known[start:end] = True
    octets = np.frombuffer(b"".join(parts), np.uint8).copy()
    holes = sorted((8 * one, 8 * one + 8) for one in zeros if 8 * one + 8 <= octets.size)
    table = np.array(holes if not ranges[1:] else [], dtype=np.int64).reshape(-1, 2)
    for start, end in table.tolist():
        octets[start:end] = 0
        memory[extents[0].start + start : extents[0].start + end] = 0
    content = MappedContent(octets, table)
    frames = ExtentFrames(content, merged(extents, content), [(one.start, one.end) for one in extents], 4)
    states = frames.states(np.arange(-1, 18))
    whole, touched = known.reshape(-1, 16).all(axis=1), known.reshape(-1, 16).any(axis=1)
    assert states[[0, 17, 18]].tolist() == [FrameState.ABSENT] * 3
    assert ((states[1:17] >= FrameState.ZERO) == whole).all()
    assert ((states[1:17] > FrameState.ABSENT) == touched).all()
    pfns = np.flatnonzero(whole)
    assert (frames.read(pfns, 16) == memory.reshape(-1, 16)[whole]).all()
    assert (frames.read(pfns, 3) == memory.reshape(-1, 16)[whole, :3]).all()


def test_holes_of_the_file_are_frames_of_zeros() -> None:
    content = MappedContent(np.zeros(64, dtype=np.uint8), np.array([[10, 50]]))
    frames = ExtentFrames(content, [Extent(0, 64, 0)], [(0, 64)], 4)
    assert frames.states(np.arange(4)).tolist() == [3, 2, 2, 3]


def test_different_bytes_for_one_pa_are_a_disagreement() -> None:
    content = MappedContent(np.array([1, 2, 3, 2, 4], dtype=np.uint8))
    assert merged([Extent(0, 2, 0), Extent(1, 2, 3)], content) == (Extent(0, 2, 0),)
    with pytest.raises(DisagreementError):
        merged([Extent(0, 2, 0), Extent(1, 3, 2)], content)


def test_more_overlap_than_the_file_has_bytes_is_not_compared() -> None:
    content = MappedContent(np.zeros(8, dtype=np.uint8))
    assert len(merged([Extent(0, 4, 0)] * 100, content)) == 1
    with pytest.raises(DisagreementError):
        merged([Extent(0, 4, index % 4) for index in range(20)], content)
