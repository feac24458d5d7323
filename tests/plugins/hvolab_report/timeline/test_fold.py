# SPDX-License-Identifier: GPL-2.0-only
"""Folding of rows: without loss, whatever repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hvolab_report.timeline.fold import fold, unfold


def test_rows_that_differ_evenly_are_one_loop() -> None:
    rows = [row for turn in range(100) for row in ((5, 10 + turn), (6, 7, -turn))]
    assert fold(rows) == [(0, 100, 2), (5, 10), (6, 7, 0), (0, 1), (0, 0, -1)]


def test_a_loop_may_be_in_a_loop() -> None:
    rows = [row for outer in range(50) for row in ((3, outer), *((4, outer, inner) for inner in range(40)))]
    folded = fold(rows)
    assert len(folded) < 14, folded
    assert list(unfold(folded)) == rows


def test_the_rows_of_a_folio_are_one_pass_however_many_accesses_it_takes() -> None:
    rows = [(3 + part % 2, folio * 8, part * part) for folio in range(40) for part in range(90)]
    assert len(fold(rows)) == 1 + 2 * 90


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)) | st.tuples(st.integers(1, 2)), max_size=60))
def test_unfolded_rows_are_those_that_were_folded(rows: list[tuple[int, ...]]) -> None:
    assert list(unfold(fold(rows))) == rows
