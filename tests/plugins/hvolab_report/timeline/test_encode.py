# SPDX-License-Identifier: GPL-2.0-only
"""Rows of a recording."""

from __future__ import annotations

from hvolab_report.timeline.fold import unfold
from hvolab_report.timeline.row_kinds import ROW_KINDS
from tests.plugins.hvolab_report.runs import data, recording

VOICE = "voices"


def rows(kind: str) -> list[tuple[int, ...]]:
    """The rows of a kind."""
    return [row for row in unfold(data()[VOICE][0]["rows"]) if ROW_KINDS[row[0]].name == kind]


def test_every_step_has_a_row_of_its_kind() -> None:
    names = [ROW_KINDS[row[0]].name for row in unfold(data()[VOICE][0]["rows"]) if ROW_KINDS[row[0]].is_step]
    assert names == [step.event.name for step in recording().steps]
    assert len(names) == data()[VOICE][0]["steps"]


def test_a_split_stores_a_table_that_maps_what_the_leaf_mapped() -> None:
    voice = data()[VOICE][0]
    fill, pointer = rows("entry.store")[:2]
    assert voice["levels"][fill[2]]["name"] == "pte"
    assert voice["levels"][pointer[2]]["name"] == "pmd"
    assert (fill[3], pointer[3]) == (0, 1)  # not live, live
    pattern, first, step, count = fill[-4:]
    assert (voice["patterns"][pattern]["pgprots"], step, count) == (["PAGE_KERNEL"], 1, 512)
    before, after = pointer[8:12], pointer[12:16]
    assert (voice["patterns"][before[0]]["kind"], before[1]) == ("leaf", first)
    assert voice["patterns"][after[0]]["kind"] == "table"


def test_calls_in_progress_are_kept_and_entered() -> None:
    voice, depth = data()[VOICE][0], 0
    for row in rows("calls"):
        assert row[1] <= depth
        depth = row[1] + len(row) - 2
        assert all(function < len(voice["functions"]) for function in row[2:])
    assert depth == 0


def test_the_folios_are_mapped_as_at_the_step_at_which_they_were_seen() -> None:
    voice = data()[VOICE][0]
    first = voice["folios"][0]
    assert (first["order"], first["pages"], len(first["runs"])) == (9, 8, 6)
    assert first["runs"][1] == 8
