# SPDX-License-Identifier: GPL-2.0-only
"""Footprints: which steps commute."""

from __future__ import annotations

import pytest

from hvolab_explorer.steps.footprint import RACE, Footprint, FootprintBuilder

READ, WRITE, ADD = Footprint.of(reads=[1]), Footprint.of(writes=[1]), Footprint.of(adds=[1])
RELEASE, AWAIT = Footprint.of(releases=[1]), Footprint.of(awaits=[1])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(READ, READ, False), (READ, WRITE, True), (WRITE, WRITE, True), (ADD, ADD, False), (ADD, READ, True)],
)
def test_steps_race_unless_both_read_or_both_add(first: Footprint, second: Footprint, *, expected: bool) -> None:
    assert first.races(second) is second.races(first) is expected


def test_a_step_that_waits_is_ordered_and_races_with_no_release() -> None:
    assert RELEASE.waits(AWAIT)
    assert AWAIT.waits(RELEASE)
    assert RELEASE.conflicts(AWAIT)
    assert not RELEASE.races(AWAIT)
    assert not RELEASE.conflicts(RELEASE)


def test_other_tokens_commute_and_a_union_conflicts_as_either_does() -> None:
    other = Footprint.of(writes=[2])
    assert not WRITE.conflicts(other)
    assert (READ | other).races(WRITE)
    assert (READ | other).races(Footprint.of(reads=[2]))


def test_a_builder_begins_anew() -> None:
    builder = FootprintBuilder()
    builder.adds.add(1)
    assert builder.build().adds == ADD.adds
    assert builder.build() is builder.build()
    builder.touches.clear()
    assert builder.build().whole == frozenset()


def test_steps_that_collected_the_same_tokens_in_another_way_have_one_footprint() -> None:
    builder = FootprintBuilder()
    builder.reads.update({1, 2})
    builder.writes.add("x")
    first = builder.build()
    builder.touches.clear()
    builder.writes.update(["x"])
    for token in (2, 1):
        builder.reads.add(token)
    assert builder.build() is first
    assert first.relation(WRITE) == WRITE.relation(first) == RACE
    assert first | first is first
