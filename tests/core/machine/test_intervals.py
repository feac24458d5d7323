# SPDX-License-Identifier: GPL-2.0-only
"""Intervals of PFNs against sets of the same PFNs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hvolab.machine.intervals import Pfns, highest_fit, joined, lowest_fit, runs_of, without

PFNS = st.sets(st.integers(0, 60), max_size=40)


def array(values: set[int]) -> Pfns:
    return np.array(sorted(values), dtype=np.int64)


def members(starts: Pfns, stops: Pfns) -> set[int]:
    """The PFNs of intervals, which must ascend and not touch."""
    assert (starts < stops).all()
    assert (starts[1:] > stops[:-1]).all()
    return {pfn for start, stop in zip(starts.tolist(), stops.tolist(), strict=True) for pfn in range(start, stop)}


@given(PFNS)
def test_intervals_have_the_pfns_that_they_are_made_of(pfns: set[int]) -> None:
    assert members(*runs_of(array(pfns))) == pfns


@given(st.lists(st.integers(0, 60), unique=True))
def test_single_frames_in_any_order_and_empty_intervals_are_joined(pfns: list[int]) -> None:
    starts = np.array([*pfns, 99], dtype=np.int64)
    stops = np.array([*(pfn + 1 for pfn in pfns), 99], dtype=np.int64)
    assert members(*joined(starts, stops)) == set(pfns)


@given(PFNS, PFNS)
def test_frames_are_cut_out(pfns: set[int], cut: set[int]) -> None:
    cut &= pfns
    assert members(*without(*runs_of(array(pfns)), *runs_of(array(cut)))) == pfns - cut


@given(PFNS, st.integers(1, 5), st.sampled_from([1, 2, 3, 8]))
def test_the_lowest_and_the_highest_fit_are_those_that_a_search_finds(pfns: set[int], frames: int, align: int) -> None:
    fits = [pfn for pfn in range(0, 61, align) if set(range(pfn, pfn + frames)) <= pfns]
    intervals = runs_of(array(pfns))
    assert lowest_fit(*intervals, frames, align) == (fits[0] if fits else None)
    assert highest_fit(*intervals, frames, align) == (fits[-1] if fits else None)
