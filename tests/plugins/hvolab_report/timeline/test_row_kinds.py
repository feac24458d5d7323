# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of rows."""

from __future__ import annotations

from hvolab_report.timeline.fold import LOOP, unfold
from hvolab_report.timeline.row_kinds import NUMBER, ROW_KINDS
from tests.plugins.hvolab_report.runs import data


def test_a_loop_has_the_number_that_folding_gives_it() -> None:
    assert NUMBER["loop"] == LOOP
    assert len(NUMBER) == len(ROW_KINDS)


def test_rows_have_the_columns_of_their_kind() -> None:
    for row in unfold(data()["voices"][0]["rows"]):
        kind = ROW_KINDS[row[0]]
        assert len(row) - 1 >= sum(not column.endswith("*") for column in kind.columns)
        if not any(column.endswith("*") for column in kind.columns):
            assert len(row) - 1 == len(kind.columns)
