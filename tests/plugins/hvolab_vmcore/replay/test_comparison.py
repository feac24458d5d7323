# SPDX-License-Identifier: GPL-2.0-only
"""Result of a comparison."""

from __future__ import annotations

from hvolab_vmcore.replay.comparison import LARGEST_LIST, Omission, ReplayComparison, ReplayDifference


def test_differences_are_listed_up_to_a_limit_and_all_are_counted() -> None:
    described = []

    def describe(place: int) -> ReplayDifference:
        described.append(place)
        return ReplayDifference("entry.flags", "a text", place, "0x0", "0x1")

    result = ReplayComparison()
    result.add_each(range(LARGEST_LIST - 1), describe)
    result.add_each(range(5), describe)
    assert (result.found, len(result.differences)) == (LARGEST_LIST + 4, LARGEST_LIST)
    assert len(described) == LARGEST_LIST


def test_an_omission_of_nothing_is_not_recorded() -> None:
    result = ReplayComparison()
    result.leave_out("page tables", 0, "a reason")
    result.leave_out("struct pages", 3, "a reason")
    assert result.left_out == [Omission("struct pages", 3, "a reason")]
