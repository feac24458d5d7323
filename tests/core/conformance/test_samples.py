# SPDX-License-Identifier: GPL-2.0-only
"""Samples: legal entries of each form, values of fields, and the same examples of a property in every run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import Architecture, Field
from hvolab.conformance.samples import legal_entries, repeatable, values_of
from tests.core.conformance.mutants import RIGHT


@pytest.mark.parametrize("architecture", RIGHT, ids=lambda right: f"{right.name}-{right.modes[0].name}")
def test_entries_are_of_their_form_and_break_no_rule(architecture: Architecture) -> None:
    mode = architecture.modes[0]
    for form in mode.format.forms:
        for level in set(form.levels) & {level.name for level in mode.levels}:
            found = legal_entries(mode.format, level, form)
            assert found
            assert all(mode.format.recognize(level, raw) is form for raw in found)
            assert [mode.format.broken_rules(level, raw) for raw in found] == [[]] * len(found)
            assert [form.get_address(raw) for raw in found] == [0] * len(found)


def test_all_values_of_a_narrow_field_are_tried_and_the_edges_of_a_wide_one() -> None:
    assert values_of(Field("narrow", 3, 2)) == [0, 1, 2, 3]
    assert values_of(Field("wide", 0, 10)) == [0, 1023, *(1 << bit for bit in range(10))]


def drawn() -> list[int]:
    """The examples of one run of a property."""
    found: list[int] = []

    @repeatable
    @given(st.integers(0, 1 << 64))
    def draw(number: int) -> None:
        found.append(number)

    draw()
    return found


def test_every_run_draws_the_same_examples() -> None:
    examples = drawn()
    assert len(set(examples)) > 10
    assert drawn() == examples


def test_no_database_keeps_examples() -> None:
    assert repeatable.database is None
