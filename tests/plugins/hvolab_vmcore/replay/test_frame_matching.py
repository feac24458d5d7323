# SPDX-License-Identifier: GPL-2.0-only
"""Comparison modulo frame numbers: any bijection fits, and pairs that break one are reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab_vmcore.replay.entry_comparison import mismatched_frames

FRAMES = st.integers(0, 40)


@pytest.mark.slow
@given(st.lists(FRAMES, max_size=60), st.permutations(range(41)))
def test_any_bijection_fits(frames: list[int], numbers: list[int]) -> None:
    theirs = np.array([numbers[frame] for frame in frames], dtype=np.int64)
    assert not mismatched_frames(np.array(frames, dtype=np.int64), theirs).any()


@pytest.mark.slow
@given(st.lists(st.tuples(FRAMES, FRAMES), max_size=60))
def test_pairs_without_the_mismatched_ones_are_one_to_one(pairs: list[tuple[int, int]]) -> None:
    ours = np.array([pair[0] for pair in pairs], dtype=np.int64)
    theirs = np.array([pair[1] for pair in pairs], dtype=np.int64)
    fits = ~mismatched_frames(ours, theirs)
    left = {pair for pair, fit in zip(pairs, fits.tolist(), strict=True) if fit}
    assert len({one for one, _ in left}) == len({other for _, other in left}) == len(left)
    one_to_one = len({one for one, _ in set(pairs)}) == len({other for _, other in set(pairs)}) == len(set(pairs))
    assert bool(fits.all()) is one_to_one


def test_one_wrong_entry_is_reported_and_not_the_many_right_ones() -> None:
    ours = np.array([1, 1, 1, 1, 2, 2])
    theirs = np.array([7, 7, 8, 7, 9, 9])
    assert mismatched_frames(ours, theirs).tolist() == [False, False, True, False, False, False]
