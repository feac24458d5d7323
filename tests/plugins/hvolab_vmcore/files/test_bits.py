# SPDX-License-Identifier: GPL-2.0-only
"""Bitmaps of frames against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab_vmcore.files.bits import FrameBits
from hvolab_vmcore.files.content import MappedContent


@pytest.mark.slow
@given(
    st.sets(st.integers(0, 12000)),
    st.integers(1, 12001),
    st.lists(st.integers(-5, 13000), min_size=1),
    st.sampled_from([3, 700, 2000]),
)
def test_tests_and_ranks_are_those_of_a_set(members: set[int], count: int, pfns: list[int], shortest: int) -> None:
    octets = np.zeros(1501 + 7, dtype=np.uint8)
    for member in members:
        octets[7 + member // 8] |= 1 << member % 8
    edges = np.flatnonzero(np.diff(np.concatenate(([False], octets == 0, [False]))))
    runs = edges.reshape(-1, 2)
    bits = FrameBits(MappedContent(octets, runs[runs[:, 1] - runs[:, 0] > shortest]), 7, count)
    inside = {member for member in members if member < count}
    assert bits.test(np.array(pfns)).tolist() == [pfn in inside for pfn in pfns]
    whole = [pfn for pfn in pfns if pfn >= 0]
    ranks = bits.rank(np.array(whole, dtype=np.int64)).tolist()
    assert ranks == [sum(member < pfn for member in inside) for pfn in whole]
    assert (bits.first, bits.end) == ((min(inside), max(inside) + 1) if inside else (0, 0))
