# SPDX-License-Identifier: GPL-2.0-only
"""Alignment of two voices."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hvolab.errors import UsageError
from hvolab_report.timeline.align import NOT_COMPARED, SAME, align, first_difference, side_by_side
from hvolab_report.timeline.atoms import Voice
from tests.plugins.hvolab_report.runs import data, failing, pair, recorded

NAMES = ("before", "after")


def groups(made: Any) -> list[list[int]]:
    """The groups of an alignment."""
    return [made["aligned"][at : at + 5] for at in range(0, len(made["aligned"]), 5)]


def test_a_voice_is_like_itself_and_one_voice_has_no_alignment() -> None:
    both = side_by_side(data(), data(), NAMES)
    steps = data()["voices"][0]["steps"]
    assert groups(both) == [[0, steps, 0, steps, SAME]]
    assert first_difference(both) == "none"
    assert align(data()) is data()


def test_each_step_of_each_voice_is_in_one_group() -> None:
    ends = [0, 0]
    for one, ones, two, twos, _ in groups(pair()):
        assert [one, two] == ends
        ends = [one + ones, two + twos]
    assert ends == [voice["steps"] for voice in pair()["voices"]]


def test_the_first_difference_is_the_allocation_that_fails() -> None:
    before, after = (Voice(voice, pair()["row_kinds"]) for voice in pair()["voices"])
    one, two = pair()["difference"]
    assert (before.steps[one][0], after.steps[two][0]) == ("page.allocate", "page.allocate")
    assert not before.steps[one][1][5]
    assert after.steps[two][1][5]
    assert first_difference(pair()).endswith(f"(step: before {one}, after {two})")
    assert "against none, as the allocation fails" in first_difference(pair())


def changed(kind: str, *columns: int) -> Any:
    """The data of the run with integers added to the first row of a kind from the second column on."""
    made = copy.deepcopy(recorded(1).data())
    number = next(at for at, each in enumerate(made["row_kinds"]) if each["name"] == kind)
    rows = [tuple(row) for row in made["voices"][0]["rows"]]
    at = next(at for at, row in enumerate(rows) if row[0] == number)
    rows[at] = (
        *rows[at][:2],
        *(a + b for a, b in zip(rows[at][2:], columns, strict=False)),
        *rows[at][2 + len(columns) :],
    )
    made["voices"][0]["rows"] = rows
    return made


def test_another_order_of_a_block_differs_in_words() -> None:
    both = side_by_side(recorded(1).data(), changed("page.allocate", 0, 1), NAMES)
    assert first_difference(both).startswith("order: ")
    assert len(both["differs"]) == 1


def test_a_stage_of_another_name_is_missing_in_both() -> None:
    both = side_by_side(recorded(1).data(), changed("mark", 1), NAMES)
    assert both["difference"] == [0, 0]
    assert set(both["differs"]) == {"the second has no such step", "the first has no such step"}


def test_steps_that_the_other_has_not_are_one_group() -> None:
    other = copy.deepcopy(recorded(1).data())
    voice = other["voices"][0]
    rows = [row for _, row in Voice(voice, other["row_kinds"]).steps]
    voice.update(rows=rows[:-20], steps=len(rows) - 20)
    *_, last = groups(side_by_side(recorded(1).data(), other, NAMES))
    assert last[:4] == [len(rows) - 20, 20, len(rows) - 20, 0]


def test_a_note_of_a_stage_is_not_compared() -> None:
    both = side_by_side(recorded(1).data(), changed("mark", 0, 1), NAMES)
    assert both["difference"] == []


def test_barriers_are_not_compared_with_a_kernels_own_code() -> None:
    whole, other = recorded(1).data(), copy.deepcopy(recorded(1).data())
    voice = other["voices"][0]
    number = next(at for at, each in enumerate(other["row_kinds"]) if each["name"] == "barrier")
    rows = Voice(voice, other["row_kinds"]).steps
    kept = [row for _, row in rows if row[0] != number]
    voice.update(rows=kept, functions=[], steps=len(kept))
    both = side_by_side(whole, other, NAMES)
    assert both["difference"] == []
    assert "barrier" in both["not_compared"]
    alone = [group for group in groups(both) if group[4] == NOT_COMPARED]
    assert sum(group[1] for group in alone) == len(rows) - len(kept)


def test_recordings_that_cannot_be_aligned_are_refused() -> None:
    with pytest.raises(UsageError, match="before has 2 voices"):
        side_by_side(pair(), failing(), NAMES)
    other = copy.deepcopy(failing())
    other["voices"][0]["page_shift"] = 16
    with pytest.raises(UsageError, match="base pages of different sizes"):
        side_by_side(data(), other, NAMES)
