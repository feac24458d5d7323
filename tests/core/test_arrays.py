# SPDX-License-Identifier: GPL-2.0-only
"""Runs and parts of arrays, held against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arrays import chunks, common, consecutive_runs, equal_runs, runs

LISTS = st.lists(st.integers(0, 4), max_size=20)


def by_loop(values: list[int], step: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for place, value in enumerate(values):
        if place and value == values[place - 1] + step:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


@given(LISTS, st.sampled_from([0, 1, 2]))
def test_runs_are_those_of_a_loop(values: list[int], step: int) -> None:
    starts, stops = consecutive_runs(np.array(values, dtype=np.int64), step)
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == by_loop(values, step)


@given(LISTS)
def test_equal_neighbors_are_one_run(values: list[int]) -> None:
    starts, stops = equal_runs(np.array(values, dtype=np.int64))
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == by_loop(values, 0)


@pytest.mark.parametrize("size", [0, 1])
def test_there_is_nothing_to_split_in_fewer_than_two_items(size: int) -> None:
    starts, stops = runs(np.zeros(0, dtype=np.bool_), size)
    assert (starts.tolist(), stops.tolist()) == ([0][:size], [1][:size])


@given(LISTS, LISTS)
def test_common_values_are_those_of_sets(few: list[int], many: list[int]) -> None:
    found = common(np.array(few, dtype=np.int64), np.sort(np.array(many, dtype=np.int64)))
    assert found.tolist() == sorted(set(few) & set(many))


@given(LISTS, st.integers(1, 21))
def test_chunks_are_all_items_in_order(values: list[int], most: int) -> None:
    parts = [values[some] for some in chunks(len(values), most)]
    assert [value for part in parts for value in part] == values
    assert all(len(part) == most for part in parts[:-1])
    assert all(0 < len(part) <= most for part in parts)
