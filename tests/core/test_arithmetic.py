# SPDX-License-Identifier: GPL-2.0-only
"""Rounding, of integers and of arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT, div_round_up, round_up


def test_a_word_has_as_many_bytes_as_its_shift_says() -> None:
    assert 1 << WORD_SHIFT == WORD_BYTES


@given(st.integers(0, 1 << 64), st.integers(1, 1 << 40))
def test_rounding_up_gives_the_lowest_multiple_that_is_not_below(value: int, unit: int) -> None:
    rounded = round_up(value, unit)
    assert rounded % unit == 0
    assert value <= rounded < value + unit
    assert div_round_up(value, unit) * unit == rounded


def test_arrays_are_rounded_item_by_item() -> None:
    values = np.array([0, 1, 7, 8, 9], dtype=np.int64)
    assert round_up(values, 8).tolist() == [0, 8, 8, 8, 16]
    assert div_round_up(values, 8).tolist() == [0, 1, 1, 1, 2]
